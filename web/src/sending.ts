// Files on their way to the server.

import { explanation, make, nameProblem, prefix, question } from "./common";
import { type Entry, encoded, listing } from "./folder";

export interface Sent {
  file: File;
  /** From the folder, with slashes. */
  path: string;
}

/** What is under way, and what became of it. */
export const sending = make("ul", { className: "sending" });

const SENDING_MAX = 3;

type Outcome = "sent" | "failed" | "cancelled";

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

/** Sends files to a folder, and tells what became of them. */
export async function send(here: string, files: Sent[], entries: Entry[], mayReplace: boolean): Promise<[text: string, isWrong: boolean]> {
  const there = mayReplace ? await taken(here, files, entries) : [];
  if (there.length) {
    const asks = there.length === 1 ? `There is ${there[0]?.path} already. Replace it?` : `There are ${there.length} files of these names already. Replace them?`;
    if (!(await question(asks, "Replace"))) files = files.filter((file) => !there.includes(file));
  }
  const queue = [...files];
  const count = { sent: 0, failed: 0, cancelled: 0 };
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) count[await sendOne(here, next)] += 1;
  };
  await Promise.all(Array.from({ length: SENDING_MAX }, work));
  if (!files.length) return ["", false];
  const { sent, failed, cancelled } = count;
  const others = `${failed ? `, ${failed} failed` : ""}${cancelled ? `, ${cancelled} cancelled` : ""}`;
  return [`${sent} ${sent === 1 ? "file is" : "files are"} there${others}.`, failed > 0];
}

function sendOne(here: string, { file, path }: Sent): Promise<Outcome> {
  const bar = make("progress", { max: Math.max(file.size, 1), value: 0 });
  bar.setAttribute("aria-label", path);
  const cancel = make("button", {}, "Cancel");
  const note = make("span", { className: "faint" });
  const line = make("li", {}, make("span", { className: "name" }, path), bar, note, cancel);
  sending.append(line);
  const stay = (text: string) => {
    bar.remove();
    note.textContent = text;
    cancel.textContent = "Dismiss";
    cancel.onclick = () => line.remove();
  };
  const wrong = path.split("/").map(nameProblem).find(Boolean);
  if (wrong) {
    stay(wrong);
    return Promise.resolve("failed");
  }
  return new Promise((done) => {
    // Only this way tells how much has gone out.
    const request = new XMLHttpRequest();
    request.open("PUT", prefix + here + path.split("/").map(encoded).join("/"));
    const token = document.body.dataset.token;
    if (token) request.setRequestHeader("X-Number8-Token", token);
    request.upload.onprogress = (event) => {
      bar.value = event.loaded;
    };
    cancel.onclick = () => request.abort();
    request.onabort = () => {
      stay("cancelled");
      done("cancelled");
    };
    request.onerror = () => {
      stay("not sent");
      done("failed");
    };
    request.onload = () => {
      const isDone = request.status >= 200 && request.status < 300;
      if (isDone) {
        line.remove();
      } else {
        stay(explanation(request.responseText, request.status));
      }
      done(isDone ? "sent" : "failed");
    };
    request.send(file);
  });
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

