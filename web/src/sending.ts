// Files on their way to the server.

import { explanation, make, named, nameProblem, onClash, prefix, question, quoted } from "./common";
import { type Entry, encoded, listing } from "./folder";

export interface Sent {
  file: File;
  /** From the folder, with slashes. */
  path: string;
}

/** One of them, to a folder; it `replaces` what is there where somebody has said so, or knows what is. */
interface Job extends Sent {
  here: string;
  replaces: boolean;
}

const SENDING_MAX = 3;

type Outcome = "sent" | "failed" | "cancelled";

export class Sending {
  private readonly sum = make("span", { className: "name" });
  private readonly cancelAll = make("button", {}, "Cancel all");
  private readonly rest = make("p", { hidden: true }, this.sum, this.cancelAll);
  private readonly lines = make("ul");
  readonly element = make("div", { className: "sending" }, this.rest, this.lines);

  private queue: Job[] = [];
  private readonly underWay = new Set<XMLHttpRequest>();
  private count = { sent: 0, failed: 0, cancelled: 0 };

  /** `done` is told what became of all of them when none is left. */
  constructor(private readonly done: (text: string, isWrong: boolean) => void) {
    this.cancelAll.onclick = () => {
      this.count.cancelled += this.queue.splice(0).length;
      for (const request of this.underWay) request.abort();
      this.tell();
    };
  }

  /** Whether something is not sent yet that may still be. */
  get isBusy(): boolean {
    return this.underWay.size > 0 || this.queue.length > 0;
  }

  /** Sends files to a folder that has these entries; `mayReplace` says what is there may be replaced, after a question. */
  async add(here: string, files: Sent[], entries: Entry[], mayReplace: boolean): Promise<void> {
    const there = mayReplace && onClash === "replace" ? await taken(here, files, entries) : [];
    let isReplacing = false;
    if (there.length) {
      const asks = there.length === 1 ? `There is ${quoted(there[0]?.path ?? "")} already. Replace it?` : `There are ${there.length} files of these names already. Replace them?`;
      isReplacing = (await question(asks, "Replace")) !== null;
    }
    const jobs = files.map((file) => ({ ...file, here, replaces: there.includes(file) }));
    this.begin(isReplacing ? jobs : jobs.filter(({ replaces }) => !replaces));
  }

  private begin(jobs: Job[]): void {
    for (const job of jobs) {
      const wrong = job.path.split("/").map(nameProblem).find(Boolean);
      if (!wrong) {
        this.queue.push(job);
        continue;
      }
      new Line(job, this.lines).stay(wrong);
      this.count.failed += 1;
    }
    this.goOn();
  }

  private goOn(): void {
    while (this.underWay.size < SENDING_MAX) {
      const job = this.queue.shift();
      if (!job) break;
      this.send(job);
    }
    this.tell();
    const { sent, failed, cancelled } = this.count;
    if (this.isBusy || !(sent || failed || cancelled)) return;
    this.count = { sent: 0, failed: 0, cancelled: 0 };
    const others = `${failed ? `, ${failed} failed` : ""}${cancelled ? `, ${cancelled} cancelled` : ""}`;
    this.done(`${sent} ${sent === 1 ? "file is" : "files are"} there${others}.`, failed > 0);
  }

  /** How many wait, where they are too many to have a line each. */
  private tell(): void {
    const waiting = this.queue.length;
    this.rest.hidden = waiting === 0;
    if (waiting) this.sum.textContent = `${waiting.toLocaleString("en")} more ${waiting === 1 ? "waits" : "wait"}`;
  }

  private send(job: Job): void {
    const { here, path, file, replaces } = job;
    const line = new Line(job, this.lines);
    // Only this way tells how much has gone out.
    const request = new XMLHttpRequest();
    this.underWay.add(request);
    request.open("PUT", prefix + here + path.split("/").map(encoded).join("/"));
    const token = document.body.dataset.token;
    if (token) request.setRequestHeader("X-Number8-Token", token);
    // Somebody else may be sending one of that name, too.
    if (!replaces && onClash === "replace") request.setRequestHeader("If-None-Match", "*");
    // Photos stay from their day. Some systems know no date.
    if (file.lastModified > 0) request.setRequestHeader("X-OC-Mtime", String(file.lastModified / 1000));
    request.upload.onprogress = (event) => line.at(event.loaded);
    line.offer("Cancel", () => request.abort());
    const end = (outcome: Outcome) => {
      this.underWay.delete(request);
      this.count[outcome] += 1;
      this.goOn();
    };
    const again = (text: string, isReplacing: boolean) =>
      line.offer(text, () => {
        line.remove();
        this.begin([{ ...job, replaces: isReplacing }]);
      });
    request.onabort = () => {
      line.stay("cancelled");
      end("cancelled");
    };
    request.onerror = () => {
      line.stay("not sent");
      again("Try again", replaces);
      end("failed");
    };
    request.onload = () => {
      const { status, responseText } = request;
      if (status >= 200 && status < 300) {
        line.remove();
        return end("sent");
      }
      const isTaken = status === 412;
      line.stay(isTaken ? "There is one of that name by now." : explanation(responseText, status));
      if (isTaken) again("Replace", true);
      else if (status === 401 || status === 429 || status >= 500) again("Try again", replaces);
      end("failed");
    };
    request.send(file);
  }
}

/** What is seen of one file. */
class Line {
  private readonly bar = make("progress", { value: 0 });
  private readonly note = make("span", { className: "faint" });
  private readonly buttons = make("span", { className: "tools" });
  private readonly element: HTMLElement;

  constructor(
    private readonly sent: Sent,
    lines: HTMLElement,
  ) {
    const { file, path } = sent;
    this.bar.max = Math.max(file.size, 1);
    this.bar.ariaLabel = quoted(path);
    this.element = make("li", {}, make("span", { className: "name" }, named(path)), this.bar, this.note, this.buttons);
    lines.append(this.element);
  }

  at(bytes: number): void {
    this.bar.value = bytes;
  }

  /** A button in front of the others, which says of which file it is. */
  offer(text: string, action: () => void): void {
    const button = make("button", { onclick: action, ariaLabel: `${text}: ${quoted(this.sent.path)}` }, text);
    this.buttons.prepend(button);
  }

  /** It is not sent, and stays until somebody has seen that. */
  stay(text: string): void {
    const hasFocus = this.hasFocus();
    this.bar.remove();
    this.note.textContent = text;
    this.buttons.replaceChildren();
    this.offer("Dismiss", () => this.remove());
    if (hasFocus) this.buttons.querySelector("button")?.focus();
  }

  remove(): void {
    const hasFocus = this.hasFocus();
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.element.remove();
    // Whoever works with the keyboard stays here, or goes on from the beginning.
    if (hasFocus) (next?.querySelector("button") ?? document.querySelector("h1"))?.focus();
  }

  private hasFocus(): boolean {
    return this.element.contains(document.activeElement);
  }
}

/** Those of the files that are there already; of the folder itself the entries are known. */
async function taken(here: string, files: Sent[], entries: Entry[]): Promise<Sent[]> {
  const known = new Map([["", entries]]);
  /** What a folder below holds, by its path with a slash at its end. */
  const below = async (path: string): Promise<Entry[]> => {
    const held = known.get(path);
    if (held) return held;
    const names = path.split("/").slice(0, -1);
    const above = await below(names.slice(0, -1).map((name) => `${name}/`).join(""));
    const entry = above.find((entry) => entry.type === "directory" && entry.path === names.at(-1));
    // Who may see nothing there is told by the server what may be done.
    const from = names.map((name) => `${encoded(name)}/`).join("");
    const found = entry && (await listing(here + from).catch(() => undefined));
    known.set(path, found?.entries ?? []);
    return found?.entries ?? [];
  };
  const there: Sent[] = [];
  for (const file of files) {
    const at = file.path.lastIndexOf("/") + 1;
    const held = await below(file.path.slice(0, at));
    if (held.some((entry) => entry.type === "file" && entry.path === file.path.slice(at))) there.push(file);
  }
  return there;
}

/** Every file of what was dropped, folders with all that they hold. */
export async function dropped(items: DataTransferItemList): Promise<Sent[]> {
  const found: Sent[] = [];
  const walk = async (entry: FileSystemEntry, path: string): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      found.push({ file, path });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const child of some) await walk(child, `${path}/${child.name}`);
    }
  };
  // The list is emptied when this function first waits.
  const tops = [...items].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  for (const { entry, file } of tops) {
    if (entry) await walk(entry, entry.name);
    else if (file) found.push({ file, path: file.name });
  }
  return found;
}

