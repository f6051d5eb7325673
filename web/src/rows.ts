// The rows of a table that may have thousands: they come a few at a time, so that the page answers meanwhile, and in groups, of which a
// browser lays out those that can be seen (`content-visibility` in the style). All are in the page: what is searched for is found.

const GROUP_ROWS = 50;
/** How long the page may be kept busy at once. */
const SLICE_MS = 30;

export class Rows<T> {
  /** The rows that are there, by what they show: one that has not changed stays, and so do the focus and the mouse on it. */
  private drawn = new Map<string, HTMLTableRowElement>();
  private drawings = 0;

  /** In that table, each made of what is to be shown. */
  constructor(
    private readonly table: HTMLTableElement,
    private readonly row: (of: T) => HTMLTableRowElement,
  ) {}

  /** Shows these in this order; `key` tells whether a row is there already. False where others are shown before all of them are there. */
  async show(all: T[], key: (of: T) => string): Promise<boolean> {
    this.drawings += 1;
    const drawing = this.drawings;
    const keys = all.map(key);
    const wanted = new Set(keys);
    for (const [key, row] of this.drawn) {
      if (wanted.has(key)) continue;
      row.remove();
      this.drawn.delete(key);
    }
    let next = this.after();
    let begun = performance.now();
    for (const [at, key] of keys.entries()) {
      if (performance.now() - begun > SLICE_MS) {
        await new Promise((done) => setTimeout(done));
        if (drawing !== this.drawings) return false;
        begun = performance.now();
      }
      const row = this.drawn.get(key) ?? this.row(all[at] as T);
      this.drawn.set(key, row);
      if (row === next) next = this.after(row);
      else if (next) next.before(row);
      else this.open().append(row);
    }
    for (const group of [...this.table.tBodies]) if (!group.rows.length) group.remove();
    return true;
  }

  clear(): void {
    this.drawings += 1;
    this.drawn.clear();
    for (const group of [...this.table.tBodies]) group.remove();
  }

  *[Symbol.iterator](): Iterator<HTMLTableRowElement> {
    yield* this.drawn.values();
  }

  /** The row behind another one, or the first. */
  private after(row?: HTMLTableRowElement): HTMLTableRowElement | undefined {
    const behind = row?.nextElementSibling;
    if (behind) return behind as HTMLTableRowElement;
    let group = row ? row.parentElement?.nextElementSibling : this.table.tBodies[0];
    while (group && !group.firstElementChild) group = group.nextElementSibling;
    return group?.firstElementChild as HTMLTableRowElement | undefined;
  }

  /** The group that the next row behind all others goes to. */
  private open(): HTMLTableSectionElement {
    const last = this.table.tBodies[this.table.tBodies.length - 1];
    if (last && last.rows.length < GROUP_ROWS) return last;
    const group = this.table.createTBody();
    group.role = "rowgroup";
    return group;
  }
}
