// One file: looked at, or changed in the editor.

import { Refused, ask, make, named, prefix, question, quoted, tell } from "./common";
import type { Editor } from "./editor";
import { type Entry, kind, say, trying } from "./folder";

/** The text for the editor, and what gives a text of the editor the mark at its beginning and the ends of lines that the file has. */
function edited(content: string): [string, (text: string) => string] {
  const mark = content.startsWith("\uFEFF") ? "\uFEFF" : "";
  const text = content.slice(mark.length);
  const ends = new Set(text.match(/\r\n?|\n/g));
  const [end = "\n"] = ends;
  // A file that has several kinds keeps each where it is.
  return ends.size > 1 ? [text, (text) => mark + text] : [text.replaceAll(end, "\n"), (text) => mark + text.replaceAll("\n", end)];
}

export class Viewer {
  readonly element = make("section", { className: "viewer", hidden: true });
  private editor: Editor | undefined;
  private save = make("button", { className: "main", disabled: true }, "Save");
  /** Whether something is typed that is not saved. */
  isChanged = false;

  /** `leave` is what the button for closing does. */
  constructor(private readonly leave: () => void) {}

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** Shows a file, unless it is late by the time it is there; false where it is none to be shown here. */
  async open(path: string, entry: Entry, isLate: () => boolean): Promise<boolean> {
    const close = make("button", {}, "Close");
    close.onclick = this.leave;
    const download = make("a", { className: "button", href: prefix + path, download: entry.path }, "Download");
    const raw = make("a", { className: "button", href: prefix + path, target: "_blank", rel: "noreferrer" }, "Open alone");
    const title = make("h1", {}, named(entry.path));
    if (kind(entry) === "picture") {
      const picture = make("img", { src: prefix + path, alt: quoted(entry.path) });
      this.element.replaceChildren(title, make("div", { className: "tools" }, raw, download, close), picture);
      this.element.hidden = false;
      close.focus();
      return true;
    }
    const answer = await ask(path, { headers: { Accept: "*/*" } });
    const bytes = await answer.arrayBuffer();
    let content: string;
    try {
      content = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return false;
    }
    const { Editor } = await import("./editor");
    // Meanwhile somebody may have gone elsewhere.
    if (isLate()) return true;
    const [plain, asStored] = edited(content);
    const place = make("div", { className: "code" });
    const hint = make("p", { className: "faint" }, "Ctrl-S saves. Tab indents; Escape, then Tab, leaves the editor.");
    const store = this.storing(path, entry.path, asStored, answer.headers.get("ETag"));
    this.save = make("button", { className: "main", disabled: true }, "Save");
    this.save.onclick = store;
    this.element.replaceChildren(title, make("div", { className: "tools" }, this.save, raw, download, close), place, hint);
    this.element.hidden = false;
    const changed = () => this.setChanged(true);
    this.editor = new Editor(place, quoted(entry.path), plain, entry.path, { changed, done: store, save: store, hasOtherEnds: plain.includes("\r") });
    this.editor.focus();
    return true;
  }

  /** Whether what is open may be closed: nothing of it is lost, or the person says so. */
  async mayClose(): Promise<boolean> {
    return !this.isChanged || (await question("What you have typed is not saved.", "Throw it away")) !== null;
  }

  close(): void {
    this.editor?.remove();
    this.editor = undefined;
    this.isChanged = false;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  private setChanged(isChanged: boolean): void {
    this.isChanged = isChanged;
    this.save.disabled = !isChanged;
  }

  /** What saves the text of the editor as it is by then, once at a time. */
  private storing(path: string, name: string, asStored: (text: string) => string, etag: string | null): () => void {
    let isStoring = false;
    const store = async (written: Editor) => {
      const sent = written.text;
      // A weak tag says nothing for sure, so the file of the last seconds is not asked about.
      const known = etag && !etag.startsWith("W/") ? { "If-Match": etag } : undefined;
      const stored = await tell(path, { method: "PUT", body: asStored(sent), headers: known }).catch((error: unknown) => {
        if (!(error instanceof Refused) || error.status !== 412) throw error;
        throw new Error("somebody has changed it since. Copy what you need, close it and open it again.");
      });
      etag = stored.headers.get("ETag");
      say(`${quoted(name)} is saved.`);
      // More may have been typed meanwhile.
      if (this.editor === written) this.setChanged(written.text !== sent);
    };
    return () => {
      const { editor } = this;
      if (isStoring || !this.isChanged || !editor) return;
      isStoring = true;
      void trying(`${quoted(name)} is not saved`, () => store(editor)).finally(() => (isStoring = false));
    };
  }
}
