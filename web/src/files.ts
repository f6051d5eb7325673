// The files of the folder: looked at, added, changed, moved and removed. The server's listing is where all of it comes from.

import { Refused, ask, byId, eventsPath, explanation, folders, hear, make, message, nameProblem, prefix, question, size, tell, when } from "./common";
import type { Editor } from "./editor";

interface Entry {
  path: string;
  type: "file" | "directory";
  size: number;
  /** Not of a folder that only the rules tell of. */
  modified?: string;
  href: string;
}

/** The folder that is shown, as it stands in a URL: it begins and ends with a slash. */
let folder = "/";
let entries: Entry[] = [];
/** What the person may do in the folder, as the server says with its listing; unknown where there is none to see. */
let rights: string[] | undefined;
const may = (...verbs: string[]) => verbs.every((verb) => rights?.includes(verb) ?? true);
const mayAdd = () => may("create") || may("overwrite");
const selected = new Set<string>();

const root = byId("files");
const status = make("p", { className: "status" });
status.setAttribute("role", "status");
const crumbs = make("nav", { className: "crumbs" });
crumbs.setAttribute("aria-label", "Folders above");
const rows = make("tbody");
const table = make("table");
const sending = make("ul", { className: "sending" });
const viewer = make("section", { className: "viewer", hidden: true });
const browser = make("section", { className: "browser" });

const choose = make("input", { type: "file", multiple: true, hidden: true });
const chooseFolder = make("input", { type: "file", multiple: true, hidden: true, webkitdirectory: true });
const rename = make("button", { disabled: true, hidden: true }, "Rename");
const remove = make("button", { disabled: true, hidden: true }, "Delete");
const all = make("input", { type: "checkbox" });

/** What a person has to know now. */
function say(text: string, isWrong = false): void {
  status.textContent = text;
  status.classList.toggle("problem", isWrong);
}

async function trying(what: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    say(`${what}: ${message(error)}`, true);
  }
}

const encoded = (name: string) => encodeURIComponent(name);
const decoded = (path: string) => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

/** What a folder holds, and what the person may do there. */
async function listing(of: string): Promise<[Entry[], string[] | undefined]> {
  // The way to what is further below, for whom this folder is closed.
  if (of === "/" && folders.length && !folders.includes("/")) {
    const paths = folders.map((path) => path.slice(1, -1));
    return [paths.map((path) => ({ path, type: "directory", size: 0, href: `${path.split("/").map(encoded).join("/")}/` })), []];
  }
  const found: Entry[] = [];
  let allowed: string[] | undefined;
  let next: string | undefined = "?json";
  while (next) {
    const page: { list: Entry[]; rights: string[]; next?: string } = await (await ask(of + next)).json();
    allowed = page.rights;
    found.push(...page.list.filter((entry) => entry.path !== ".."));
    next = page.next;
  }
  return [found, allowed];
}

/** How often the folder was asked for, and the last of those questions whose answer is shown. */
let asked = 0;
let answered = 0;

async function load(): Promise<void> {
  const here = folder;
  asked += 1;
  const question = asked;
  const [found, allowed] = await listing(here).catch((error: unknown) => {
    if (here === folder) throw error;
    return [];
  });
  // The answer may come when another folder is shown, or after one that is newer.
  if (!found || here !== folder || question < answered) return;
  answered = question;
  // Folders first, then by name as people count.
  const order = new Intl.Collator(undefined, { numeric: true });
  found.sort((a, b) => Number(b.type === "directory") - Number(a.type === "directory") || order.compare(a.path, b.path));
  entries = found;
  rights = allowed;
  for (const href of selected) if (!entries.some((entry) => entry.href === href)) selected.delete(href);
  draw();
}

/** The way to the folder, which is the heading. */
function drawCrumbs(): void {
  const parts = folder.split("/").filter(Boolean);
  const links = ["", ...parts].map((part, at) => {
    const path = `/${parts.slice(0, at).join("/")}${at ? "/" : ""}`;
    const text = at ? decoded(part) : "Home";
    return at === parts.length ? make("h1", { tabIndex: -1 }, text) : make("a", { href: `#${path}` }, text);
  });
  crumbs.replaceChildren(...links);
}

/** The rows that are there, by what they show: one that has not changed stays, and so do the focus and the mouse on it. */
let drawn = new Map<string, HTMLTableRowElement>();

function draw(): void {
  offer();
  const next = new Map<string, HTMLTableRowElement>();
  for (const entry of entries) {
    const key = JSON.stringify([folder, entry]);
    next.set(key, drawn.get(key) ?? row(entry));
  }
  if (!entries.length) {
    const hint = mayAdd() ? " Drop files here, or choose Add files." : "";
    const cell = make("td", { colSpan: 4, className: "empty" }, `This folder is empty.${hint}`);
    next.set("", make("tr", {}, cell));
  }
  const isWanted = new Set(next.values());
  for (const old of drawn.values()) if (!isWanted.has(old)) old.remove();
  let at = rows.firstElementChild;
  for (const one of isWanted) {
    if (one === at) at = at.nextElementSibling;
    else rows.insertBefore(one, at);
  }
  drawn = next;
  showSelected();
}

/** Shows what the person has a right to. Renaming is to leave here, and to arrive where nothing is. */
function offer(): void {
  for (const add of adding) add.hidden = !mayAdd();
  for (const one of making) one.hidden = !may("create");
  rename.hidden = !may("move", "delete", "create");
  remove.hidden = !may("delete");
}

function row(entry: Entry): HTMLTableRowElement {
  const isFolder = entry.type === "directory";
  const tick = make("input", { type: "checkbox", value: entry.href });
  tick.setAttribute("aria-label", `Select ${entry.path}`);
  tick.onchange = () => {
    if (tick.checked) selected.add(entry.href);
    else selected.delete(entry.href);
    showSelected();
  };
  const link = make("a", { href: isFolder ? `#${folder}${entry.href}` : prefix + folder + entry.href }, entry.path + (isFolder ? "/" : ""));
  if (!isFolder && kind(entry) !== "other") {
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      void trying(entry.path, () => open(entry));
    };
  }
  const date = new Date(entry.modified ?? 0);
  const time = entry.modified ? make("time", { dateTime: entry.modified, title: date.toLocaleString() }, when(date)) : "";
  return make(
    "tr",
    {},
    make("td", { className: "tick" }, make("label", {}, tick)),
    make("td", { className: "name" }, link),
    make("td", { className: "size" }, isFolder ? "folder" : size(entry.size)),
    make("td", { className: "modified" }, time),
  );
}

function showSelected(): void {
  for (const tick of rows.querySelectorAll("input")) tick.checked = selected.has(tick.value);
  rename.disabled = selected.size !== 1;
  remove.disabled = selected.size === 0;
  remove.textContent = selected.size > 1 ? `Delete ${selected.size}` : "Delete";
  all.checked = selected.size > 0 && selected.size === entries.length;
  all.indeterminate = selected.size > 0 && !all.checked;
}

// Looking at one file

const PICTURES = /\.(png|jpe?g|gif|webp|avif|svg|ico|bmp)$/i;
const TEXTS = /\.(txt|md|py|js|mjs|ts|json|html?|css|csv|toml|ya?ml|ini|cfg|conf|sh|c|h|cpp|rs|go|log|xml|sql|env)$/i;
const TEXT_BYTES_MAX = 1 << 20;

function kind(entry: Entry): "picture" | "text" | "other" {
  if (PICTURES.test(entry.path)) return "picture";
  const isText = TEXTS.test(entry.path) || !entry.path.includes(".");
  return isText && entry.size <= TEXT_BYTES_MAX ? "text" : "other";
}

/** The text for the editor, and what gives a text of the editor the mark at its beginning and the ends of lines that the file has. */
function edited(content: string): [string, (text: string) => string] {
  const mark = content.startsWith("\uFEFF") ? "\uFEFF" : "";
  const text = content.slice(mark.length);
  const ends = new Set(text.match(/\r\n?|\n/g));
  const [end = "\n"] = ends;
  // A file that has several kinds keeps each where it is.
  return ends.size > 1 ? [text, (text) => mark + text] : [text.replaceAll(end, "\n"), (text) => mark + text.replaceAll("\n", end)];
}

let editor: Editor | undefined;
let isChanged = false;

/** What was opened last, which the focus goes back to. */
let opened: Entry | undefined;

async function open(entry: Entry): Promise<void> {
  const here = folder;
  opened = entry;
  const isLate = () => here !== folder || opened !== entry;
  const path = here + entry.href;
  const close = make("button", {}, "Close");
  const raw = make("a", { className: "button", href: prefix + path, target: "_blank", rel: "noreferrer" }, "Open alone");
  const tools = make("div", { className: "tools" });
  close.onclick = () => void shut();
  if (kind(entry) === "picture") {
    const picture = make("img", { src: prefix + path, alt: entry.path });
    tools.append(raw, close);
    viewer.replaceChildren(make("h1", {}, entry.path), tools, picture);
  } else {
    const answer = await ask(path, { headers: { Accept: "*/*" } });
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    let content: string;
    const bytes = await answer.arrayBuffer();
    try {
      content = text.decode(bytes);
    } catch {
      if (!isLate()) location.assign(prefix + path);
      return;
    }
    const { Editor } = await import("./editor");
    // Meanwhile somebody may have gone elsewhere.
    if (isLate()) return;
    const save = make("button", { className: "main", disabled: true }, "Save");
    const place = make("div", { className: "code" });
    tools.append(save, raw, close);
    viewer.replaceChildren(make("h1", {}, entry.path), tools, place);
    let etag = answer.headers.get("ETag");
    const [plain, asStored] = edited(content);
    let isStoring = false;
    const store = async () => {
      if (isStoring || !isChanged || !editor) return;
      isStoring = true;
      const written = editor;
      const sent = written.text;
      await trying(`${entry.path} is not saved`, async () => {
        // A weak tag says nothing for sure, so the file of the last seconds is not asked about.
        const known = etag && !etag.startsWith("W/") ? { "If-Match": etag } : undefined;
        const stored = await tell(path, { method: "PUT", body: asStored(sent), headers: known }).catch((error: unknown) => {
          if (!(error instanceof Refused) || error.status !== 412) throw error;
          throw new Error("somebody has changed it since. Copy what you need, close it and open it again.");
        });
        etag = stored.headers.get("ETag");
        say(`${entry.path} is saved.`);
        if (editor !== written) return;
        // More may have been typed meanwhile.
        isChanged = written.text !== sent;
        save.disabled = !isChanged;
      });
      isStoring = false;
    };
    save.onclick = () => void store();
    const changed = () => {
      isChanged = true;
      save.disabled = false;
    };
    editor?.remove();
    editor = new Editor(place, entry.path, plain, entry.path, { changed, done: () => void store(), hasOtherEnds: plain.includes("\r") });
    isChanged = false;
  }
  viewer.hidden = false;
  browser.hidden = true;
  say("");
  (editor ?? close).focus();
}

/** Back to the folder; false where what was typed is to be kept. */
async function shut(): Promise<boolean> {
  if (isChanged && !(await question("What you have typed is not saved.", "Throw it away"))) return false;
  editor?.remove();
  editor = undefined;
  isChanged = false;
  viewer.hidden = true;
  browser.hidden = false;
  viewer.replaceChildren();
  await trying("The folder cannot be shown", load);
  const row = [...rows.children].find((row) => row.querySelector("input")?.value === opened?.href);
  row?.querySelector("a")?.focus();
  return true;
}

// Sending files

interface Sent {
  file: File;
  /** From the folder, with slashes. */
  path: string;
}

const SENDING_MAX = 3;

type Outcome = "sent" | "failed" | "cancelled";

/** Those of the files that are there already. */
async function taken(here: string, files: Sent[]): Promise<Sent[]> {
  const known = new Map([["", entries]]);
  /** What a folder below holds, by its path with a slash at its end. */
  const below = async (path: string): Promise<Entry[]> => {
    const held = known.get(path);
    if (held) return held;
    const names = path.split("/").slice(0, -1);
    const above = await below(names.slice(0, -1).map((name) => `${name}/`).join(""));
    const entry = above.find((entry) => entry.type === "directory" && entry.path === names.at(-1));
    // Who may see nothing there is told by the server what may be done.
    const [found] = entry ? await listing(here + names.map((name) => `${encoded(name)}/`).join("")).catch(() => [[]]) : [[]];
    known.set(path, found);
    return found;
  };
  const there: Sent[] = [];
  for (const file of files) {
    const at = file.path.lastIndexOf("/") + 1;
    const held = await below(file.path.slice(0, at));
    if (held.some((entry) => entry.type === "file" && entry.path === file.path.slice(at))) there.push(file);
  }
  return there;
}

async function send(files: Sent[]): Promise<void> {
  const here = folder;
  const there = may("overwrite") ? await taken(here, files) : [];
  if (there.length) {
    const asks = there.length === 1 ? `There is ${there[0]?.path} already. Replace it?` : `There are ${there.length} files of these names already. Replace them?`;
    if (!(await question(asks, "Replace"))) {
      files = files.filter((file) => !there.includes(file));
    }
  }
  const queue = [...files];
  const count = { sent: 0, failed: 0, cancelled: 0 };
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) count[await sendOne(here, next)] += 1;
  };
  await Promise.all(Array.from({ length: SENDING_MAX }, work));
  await trying("The folder cannot be shown", load);
  // Whoever may only add hears of this, not that the folder cannot be shown.
  if (files.length) {
    const { sent, failed, cancelled } = count;
    const others = `${failed ? `, ${failed} failed` : ""}${cancelled ? `, ${cancelled} cancelled` : ""}`;
    say(`${sent} ${sent === 1 ? "file is" : "files are"} there${others}.`, failed > 0);
  }
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
async function dropped(items: DataTransferItemList): Promise<Sent[]> {
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

// What the buttons do

choose.onchange = () => {
  void send([...(choose.files ?? [])].map((file) => ({ file, path: file.name })));
  choose.value = "";
};
chooseFolder.onchange = () => {
  void send([...(chooseFolder.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
  chooseFolder.value = "";
};

rename.onclick = () =>
  trying("It is not renamed", async () => {
    // The address may lead elsewhere while there is a question, or while the server works.
    const here = folder;
    const entry = entries.find((entry) => selected.has(entry.href));
    if (!entry) return;
    const name = await question(`A new name for ${entry.path}`, "Rename", entry.path, nameProblem);
    if (!name || name === entry.path) return;
    const slash = entry.type === "directory" ? "/" : "";
    const destination = prefix + here + encoded(name) + slash;
    const headers = { Destination: destination, Overwrite: "F" };
    await tell(here + entry.href, { method: "MOVE", headers }).catch((error: unknown) => {
      throw error instanceof Refused && error.status === 412 ? new Error(`there is ${name} already.`) : error;
    });
    if (here === folder) selected.clear();
    say(`${entry.path} is ${name} now.`);
    await load();
  });

remove.onclick = () =>
  trying("Not everything is deleted", async () => {
    const here = folder;
    const gone = entries.filter((entry) => selected.has(entry.href));
    const what = gone.length === 1 ? gone[0]?.path : `${gone.length} entries`;
    const withAll = gone.some((entry) => entry.type === "directory") ? ", with all that is in it," : "";
    if (!(await question(`Delete ${what}${withAll} for good?`, "Delete"))) return;
    for (const entry of gone) {
      await tell(here + entry.href + (entry.type === "directory" ? "?force=1" : ""), { method: "DELETE" }).catch((error: unknown) => {
        // Somebody else was quicker.
        if (!(error instanceof Refused) || error.status !== 404) throw new Error(`${entry.path}: ${message(error)}`);
      });
      if (here === folder) selected.delete(entry.href);
    }
    say(`${what} ${gone.length === 1 ? "is" : "are"} deleted.`);
    await load();
  });

const button = (text: string, action: () => void) => {
  const made = make("button", {}, text);
  made.onclick = action;
  made.hidden = true;
  return made;
};
const adding = [button("Add files", () => choose.click()), button("Add folder", () => chooseFolder.click())];
const making = [button("New file", () => makeNew("file")), button("New folder", () => makeNew("folder"))];

function makeNew(what: "folder" | "file"): void {
  void trying(`The ${what} is not made`, async () => {
    const here = folder;
    const name = await question(`A name for the new ${what}`, "Make it", what === "file" ? "new.py" : "new folder", nameProblem);
    if (!name) return;
    const path = here + encoded(name);
    if (what === "folder") await tell(`${path}/`, { method: "POST" });
    else await tell(path, { method: "PUT", body: "", headers: { "If-None-Match": "*" } });
    say("");
    await load();
    const made = entries.find((entry) => entry.path === name && entry.type === "file");
    if (made && what === "file" && here === folder) await open(made);
  });
}

/** Whether a folder has been shown. */
let isShown = false;

async function go(): Promise<void> {
  const wanted = location.hash.slice(1);
  // A backslash is a second slash to browsers: what begins with two is another host.
  const isHere = wanted.startsWith("/") && wanted.endsWith("/") && !wanted.startsWith("//") && !wanted.includes("\\");
  const next = isHere ? wanted : "/";
  if (!viewer.hidden && !(await shut())) {
    history.replaceState(null, "", `#${folder}`);
    return;
  }
  folder = next;
  rights = undefined;
  entries = [];
  for (const old of drawn.values()) old.remove();
  drawn.clear();
  selected.clear();
  showSelected();
  drawCrumbs();
  say("");
  // Who went on from what is gone now hears where that led; a page that has just been opened begins at its own beginning.
  if (isShown) crumbs.querySelector("h1")?.focus();
  isShown = true;
  await trying("The folder cannot be shown", load);
  // Whoever may only add sees no listing, and what it would say of rights neither.
  offer();
}

function begin(): void {
  all.setAttribute("aria-label", "Select all");
  all.onchange = () => {
    selected.clear();
    if (all.checked) for (const entry of entries) selected.add(entry.href);
    showSelected();
  };
  const heading = (name: string, text: string) => {
    const cell = make("th", { className: name }, text);
    cell.scope = "col";
    return cell;
  };
  const first = make("th", { className: "tick" }, make("label", {}, all));
  table.append(
    make("thead", {}, make("tr", {}, first, heading("name", "Name"), heading("size", "Size"), heading("modified", "Changed"))),
    rows,
  );
  const tools = make(
    "div",
    { className: "tools" },
    ...adding,
    ...making,
    rename,
    remove,
  );
  browser.append(crumbs, tools, choose, chooseFolder, sending, table);
  root.replaceChildren(browser, viewer, status);

  let over = 0;
  const isOver = (change: number) => {
    over += change;
    root.classList.toggle("over", over > 0 && mayAdd());
  };
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    isOver(1);
  });
  document.addEventListener("dragleave", () => isOver(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    isOver(-over);
    if (!mayAdd()) {
      say("You may not add files to this folder.", true);
      return;
    }
    const items = event.dataTransfer?.items;
    if (items) void trying("Not everything could be read", async () => send(await dropped(items)));
  });
  addEventListener("hashchange", () => void go());
  addEventListener("beforeunload", (event) => {
    if (isChanged) event.preventDefault();
  });

  // What others change shows at once where events tell of it, else when somebody looks.
  let due: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(() => {
      if (viewer.hidden) void trying("The folder cannot be shown", load);
    }, 150);
  };
  if (eventsPath) hear(`${eventsPath}/files`, { message: soon });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) soon();
  });
  void go();
}

begin();
