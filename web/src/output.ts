// What a program writes, as a terminal of the simplest kind shows it: a line is written over after a return (a progress bar), colours are
// styles, whatever else a terminal can be told is left out. The last lines are kept; the page gets them once a frame, however many come.

import { make } from "./common";

interface Run {
  text: string;
  style: string;
}

interface Line {
  runs: Run[];
  /** In characters. */
  length: number;
  node?: HTMLElement;
}

/** What one stream has begun and not ended: an escape sequence, and the style of what comes. */
interface Stream {
  part: string;
  looks: Looks;
}

interface Looks {
  colour: string;
  bold: boolean;
  italic: boolean;
  underlined: boolean;
}

/** Lines and characters that are shown; what came first goes. */
const LINES_MAX = 2_000;
const CHARACTERS_MAX = 500_000;
/** A line that is longer goes on in the next one. */
const LINE_CHARACTERS_MAX = 2_000;
/** An escape sequence that is longer is none. */
const SEQUENCE_CHARACTERS_MAX = 4_096;

/** A sequence as ECMA-48 has it, or a control character; a tab is text. */
const CONTROL =
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)$/;

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const plain = (): Looks => ({ colour: "", bold: false, italic: false, underlined: false });

export class Output {
  private lines: Line[] = [{ runs: [], length: 0 }];
  private column = 0;
  private characters = 0;
  private streams = new Map<string, Stream>();
  private gone: HTMLElement[] = [];
  private isChanged = false;
  private isWaiting = false;
  private isEmptied = false;
  private from = 0;
  /** Lines that are not shown any more. */
  leftOut = 0;
  /** Whether some never came. */
  hasGap = false;

  /** In that element; `decorate` makes the nodes of a text of the stream `stderr`, `drawn` is called when what is shown has changed. */
  constructor(
    private readonly place: HTMLElement,
    private readonly decorate: (text: string) => (Node | string)[],
    private readonly drawn: () => void,
  ) {}

  clear(): void {
    this.lines = [{ runs: [], length: 0 }];
    this.streams.clear();
    this.gone = [];
    this.column = this.characters = this.leftOut = 0;
    this.hasGap = false;
    this.isEmptied = true;
    this.draw();
  }

  /** Something between what came and what comes was lost. */
  gap(): void {
    this.hasGap = true;
    if (this.last.length) this.newLine();
    this.put("… some of the output is left out here …", "faint");
    this.newLine();
  }

  write(stream: string, text: string): void {
    const of = this.streams.get(stream) ?? { part: "", looks: plain() };
    this.streams.set(stream, of);
    text = of.part + text;
    const part = UNFINISHED.exec(text)?.[0] ?? "";
    of.part = part.length > SEQUENCE_CHARACTERS_MAX ? "" : part;
    if (of.part) text = text.slice(0, -of.part.length);
    let style = styleOf(stream, of.looks);
    let from = 0;
    for (const match of text.matchAll(CONTROL)) {
      if (match.index > from) this.put(text.slice(from, match.index), style);
      from = match.index + match[0].length;
      const [whole, parameters = "", final] = match;
      if (whole === "\n") this.newLine();
      else if (whole === "\r") this.column = 0;
      else if (whole === "\b") this.column = Math.max(0, this.column - 1);
      else if (final === "K") this.erase(parameters);
      else if (final === "G") this.column = Math.min(Math.max(1, Number(parameters) || 1), this.last.length + 1) - 1;
      else if (final === "m" && !/[<-?]/.test(parameters)) {
        choose(of.looks, parameters);
        style = styleOf(stream, of.looks);
      }
    }
    if (from < text.length) this.put(text.slice(from), style);
    this.draw();
  }

  private get last(): Line {
    return this.lines[this.lines.length - 1] as Line;
  }

  private newLine(): void {
    this.lines.push({ runs: [], length: 0 });
    this.column = 0;
    this.characters += 1;
    this.isChanged = true;
    while (this.lines.length - this.from > LINES_MAX || (this.characters > CHARACTERS_MAX && this.lines.length - this.from > 1)) {
      const first = this.lines[this.from] as Line;
      this.from += 1;
      this.leftOut += 1;
      this.characters -= first.length + 1;
      if (first.node) this.gone.push(first.node);
    }
    // Now and then, so that each line costs little.
    if (this.from > LINES_MAX) {
      this.lines = this.lines.slice(this.from);
      this.from = 0;
    }
  }

  private put(text: string, style: string): void {
    // Mostly what comes is put behind what is there, and is short.
    if (this.column === this.last.length && this.column + text.length <= LINE_CHARACTERS_MAX && !/[\ud800-\udfff]/.test(text)) {
      this.append(text, style, text.length);
      return;
    }
    let characters = [...text];
    while (characters.length) {
      if (this.column >= LINE_CHARACTERS_MAX) this.newLine();
      const now = characters.slice(0, LINE_CHARACTERS_MAX - this.column);
      characters = characters.slice(now.length);
      if (this.column === this.last.length) this.append(now.join(""), style, now.length);
      else this.over(this.column, now.map((character) => [character, style]), this.column + now.length);
    }
  }

  private append(text: string, style: string, length: number): void {
    const line = this.last;
    const run = line.runs[line.runs.length - 1];
    if (run?.style === style) run.text += text;
    else line.runs.push({ text, style });
    line.length += length;
    this.characters += length;
    this.column += length;
    this.isChanged = true;
  }

  /** Writes over what is there from a column on, and leaves the cursor at another; without a text it cuts the line there. */
  private over(from: number, cells: [string, string][] | null, column: number): void {
    const line = this.last;
    const all = line.runs.flatMap(({ text, style }) => [...text].map((character): [string, string] => [character, style]));
    if (cells) all.splice(from, cells.length, ...cells);
    else all.length = Math.min(all.length, from);
    this.characters += all.length - line.length;
    line.length = all.length;
    line.runs = [];
    for (const [text, style] of all) {
      const run = line.runs[line.runs.length - 1];
      if (run?.style === style) run.text += text;
      else line.runs.push({ text, style });
    }
    this.column = column;
    this.isChanged = true;
  }

  private erase(what: string): void {
    if (what === "2") this.over(0, null, 0);
    else if (what === "" || what === "0") this.over(this.column, null, this.column);
  }

  // The page

  private draw(): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => this.drawNow());
  }

  private drawNow(): void {
    const begun = performance.now();
    const { place } = this;
    const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    if (this.isEmptied) place.replaceChildren();
    this.isEmptied = false;
    for (const node of this.gone) node.remove();
    this.gone = [];
    const fresh: HTMLElement[] = [];
    let open = this.lines.length;
    while (open > this.from && !(this.lines[open - 1] as Line).node) open -= 1;
    // The last line that is there may have gone on since.
    const changed = this.lines[open - 1];
    if (open > this.from && changed?.node && this.isChanged) changed.node.replaceChildren(...this.nodes(changed, open < this.lines.length));
    for (let at = open; at < this.lines.length; at += 1) {
      const line = this.lines[at] as Line;
      const isLast = at === this.lines.length - 1;
      if (isLast && !line.length) break;
      line.node = make("div", {}, ...this.nodes(line, !isLast));
      fresh.push(line.node);
    }
    place.append(...fresh);
    this.isChanged = false;
    if (isAtEnd) place.scrollTop = place.scrollHeight;
    this.drawn();
    // Where that takes long, most of the time is left to whoever works with the page.
    const took = performance.now() - begun;
    const again = () => {
      this.isWaiting = false;
      if (this.isChanged || this.isEmptied) this.draw();
    };
    if (took < 8) again();
    else setTimeout(again, 4 * took);
  }

  private nodes({ runs }: Line, isEnded: boolean): (Node | string)[] {
    const nodes = runs.map(({ text, style }) => {
      const content = style.startsWith("stderr") ? this.decorate(text) : [text];
      return style ? make("span", { className: style }, ...content) : text;
    });
    return isEnded ? [...nodes, "\n"] : nodes;
  }
}

function styleOf(stream: string, { colour, bold, italic, underlined }: Looks): string {
  const classes = [stream === "stderr" && "stderr", colour, bold && "bold", italic && "italic", underlined && "underlined"];
  return classes.filter(Boolean).join(" ");
}

/** SGR: colours of the foreground, of which there are eight, bold, italic, underlined. */
function choose(looks: Looks, parameters: string): void {
  const numbers = parameters.split(/[;:]/).map(Number);
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at] ?? 0;
    if (number === 0) Object.assign(looks, plain());
    else if (number === 1) looks.bold = true;
    else if (number === 3) looks.italic = true;
    else if (number === 4) looks.underlined = true;
    else if (number === 22) looks.bold = false;
    else if (number === 23) looks.italic = false;
    else if (number === 24) looks.underlined = false;
    else if (number === 39) looks.colour = "";
    else if ((number >= 30 && number <= 37) || (number >= 90 && number <= 97)) looks.colour = COLOURS[number % 10] ?? "";
    else if (number === 38 || number === 48 || number === 58) {
      const isOne = numbers[at + 1] === 5;
      const which = numbers[at + 2] ?? 0;
      // Of the larger palettes those of the eight; the others might not be read on this page.
      if (number === 38) looks.colour = isOne && which < 16 ? (COLOURS[which % 8] ?? "") : "";
      at += isOne ? 2 : 4;
    }
  }
}
