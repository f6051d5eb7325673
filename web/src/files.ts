// The files of the folder: looked at, added, changed, moved and removed. The server's listing is where all of it comes from.

import { Refused, byId, eventsPath, hear, make, message, named, nameProblem, prefix, question, quoted, size, tell, unsaved, when } from "./common";
import { type Entry, type Listing, decoded, encoded, kind, listing, say, status, trying } from "./folder";
import { Rows } from "./rows";
import { type Sent, Sending, dropped } from "./sending";
import { Viewer } from "./viewer";

/** The folder that is shown, as it stands in a URL: it begins and ends with a slash. */
let folder = "/";
let entries: Entry[] = [];
/** What the person may do in the folder, as the server says with its listing; unknown where there is none to see. */
let rights: string[] | undefined;
const may = (...verbs: string[]) => verbs.every((verb) => rights?.includes(verb) ?? true);
const mayAdd = () => may("create") || may("overwrite");
const selected = new Set<string>();

const root = byId("files");
const crumbs = make("nav", { className: "crumbs" });
crumbs.setAttribute("aria-label", "Folders above");
const table = make("table", { role: "table" });
const rows = new Rows(table, row);
const viewer = new Viewer(leave);
const sending = new Sending(async (text, isWrong) => {
  await trying("The folder cannot be shown", load);
  // Whoever may only add hears of this, not that the folder cannot be shown.
  say(text, isWrong);
});
const browser = make("section", { className: "browser" });

const choose = make("input", { type: "file", multiple: true, hidden: true });
const chooseFolder = make("input", { type: "file", multiple: true, hidden: true, webkitdirectory: true });
const rename = make("button", { disabled: true, hidden: true }, "Rename");
const remove = make("button", { disabled: true, hidden: true }, "Delete");
const all = make("input", { type: "checkbox" });

/** How often the folder was asked for, and the last of those questions whose answer is shown. */
let asked = 0;
let answered = 0;

async function load(): Promise<void> {
  const here = folder;
  asked += 1;
  const question = asked;
  // The answer may come when another folder is shown, or after one that is newer.
  const isLate = () => here !== folder || question < answered;
  // Of a long folder the beginning is there before the rest.
  const begin = (part: Listing) => {
    if (isLate() || isWhole) return;
    accept(part);
    void draw();
  };
  const found = await listing(here, begin).catch((error: unknown) => {
    if (here === folder) throw error;
  });
  if (!found || isLate()) return;
  answered = question;
  isWhole = true;
  accept(found);
  await draw();
}

/** Whether all of the folder is known. */
let isWhole = false;

function accept(found: Listing): void {
  sort(found.entries);
  ({ entries, rights } = found);
  table.ariaRowCount = String(1 + found.total);
  const there = new Set(entries.map(({ href }) => href));
  if (isWhole) for (const href of selected) if (!there.has(href)) selected.delete(href);
}

type Column = "name" | "size" | "modified";
let sorted: { by: Column; isDown: boolean } = { by: "name", isDown: false };

/** Folders first; by name is as people count. */
function sort(all: Entry[]): void {
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  const byName = (a: Entry, b: Entry) => compare(a.path, b.path);
  const orders: Record<Column, typeof byName> = {
    name: byName,
    size: (a, b) => a.size - b.size,
    modified: (a, b) => Date.parse(a.modified ?? "") - Date.parse(b.modified ?? ""),
  };
  const order = orders[sorted.by];
  const sign = sorted.isDown ? -1 : 1;
  all.sort((a, b) => Number(b.type === "directory") - Number(a.type === "directory") || sign * order(a, b) || byName(a, b));
}

/** The heading of a column, which sorts by it: the largest and the newest first, and at the next press the other way round. */
function heading(by: Column, text: string): HTMLTableCellElement {
  const press = make("button", {}, text);
  press.onclick = () => {
    sorted = { by, isDown: sorted.by === by ? !sorted.isDown : by !== "name" };
    sort(entries);
    rows.clear();
    void draw();
    tellOrder();
  };
  return make("th", { role: "columnheader", scope: "col", className: by }, press);
}

const headings = { name: heading("name", "Name"), size: heading("size", "Size"), modified: heading("modified", "Changed") };

function tellOrder(): void {
  for (const [by, cell] of Object.entries(headings)) cell.ariaSort = by === sorted.by ? (sorted.isDown ? "descending" : "ascending") : null;
}

/** The way to the folder, which is the heading. */
function drawCrumbs(): void {
  const parts = folder.split("/").filter(Boolean);
  const links = ["", ...parts].map((part, at) => {
    const path = `/${parts.slice(0, at).join("/")}${at ? "/" : ""}`;
    const text = at ? named(decoded(part)) : "Home";
    return at === parts.length ? make("h1", { tabIndex: -1 }, text) : make("a", { href: `#${path}` }, text);
  });
  crumbs.replaceChildren(...links);
}

async function draw(): Promise<void> {
  offer();
  all.disabled = !isWhole;
  showSelected();
  const here = folder;
  const isAll = await rows.show(entries.length ? entries : [undefined], (entry) => JSON.stringify([here, entry ?? mayAdd()]));
  if (isAll) showTicks();
}

/** Shows what the person has a right to. Renaming is to leave here, and to arrive where nothing is. */
function offer(): void {
  for (const add of adding) add.hidden = !mayAdd();
  for (const one of making) one.hidden = !may("create");
  rename.hidden = !may("move", "delete", "create");
  remove.hidden = !may("delete");
}

/** The row of an entry, or what stands in place of all where there is none. */
function row(entry: Entry | undefined): HTMLTableRowElement {
  if (!entry) {
    const hint = mayAdd() ? " Drop files here, or choose Add files." : "";
    return make("tr", { role: "row" }, make("td", { role: "cell", className: "empty" }, `This folder is empty.${hint}`));
  }
  const isFolder = entry.type === "directory";
  const tick = make("input", { type: "checkbox", value: entry.href, checked: selected.has(entry.href) });
  tick.ariaLabel = `Select ${quoted(entry.path)}`;
  tick.onchange = () => {
    if (tick.checked) selected.add(entry.href);
    else selected.delete(entry.href);
    showSelected();
  };
  const link = make("a", { href: isFolder ? `#${folder}${entry.href}` : prefix + folder + entry.href }, named(entry.path, isFolder ? "/" : ""));
  if (!isFolder && kind(entry) !== "other") {
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      visit(folder + entry.href);
    };
  }
  const date = new Date(entry.modified ?? 0);
  const time = entry.modified ? make("time", { dateTime: entry.modified, title: date.toLocaleString() }, when(date)) : "";
  return make(
    "tr",
    { role: "row" },
    make("td", { role: "cell", className: "tick" }, make("label", {}, tick)),
    make("td", { role: "cell", className: "name" }, link),
    make("td", { role: "cell", className: "size" }, isFolder ? "folder" : size(entry.size)),
    make("td", { role: "cell", className: "modified" }, time),
  );
}

const tickOf = (row: HTMLTableRowElement) => row.querySelector("input");

function showTicks(): void {
  for (const row of rows) {
    const tick = tickOf(row);
    if (tick) tick.checked = selected.has(tick.value);
  }
}

function showSelected(): void {
  rename.disabled = selected.size !== 1;
  remove.disabled = selected.size === 0;
  remove.textContent = selected.size > 1 ? `Delete ${selected.size}` : "Delete";
  all.checked = selected.size > 0 && selected.size === entries.length;
  all.indeterminate = selected.size > 0 && !all.checked;
}

// What the buttons do

const add = (files: Sent[]) => sending.add(folder, files, entries, may("overwrite"));

choose.onchange = () => {
  void add([...(choose.files ?? [])].map((file) => ({ file, path: file.name })));
  choose.value = "";
};
chooseFolder.onchange = () => {
  void add([...(chooseFolder.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
  chooseFolder.value = "";
};

rename.onclick = () =>
  trying("It is not renamed", async () => {
    // The address may lead elsewhere while there is a question, or while the server works.
    const here = folder;
    const entry = entries.find((entry) => selected.has(entry.href));
    if (!entry) return;
    const name = await question(`A new name for ${quoted(entry.path)}`, "Rename", entry.path, nameProblem);
    if (!name || name === entry.path) return;
    const slash = entry.type === "directory" ? "/" : "";
    const destination = prefix + here + encoded(name) + slash;
    const headers = { Destination: destination, Overwrite: "F" };
    await tell(here + entry.href, { method: "MOVE", headers }).catch((error: unknown) => {
      throw error instanceof Refused && error.status === 412 ? new Error(`there is ${quoted(name)} already.`) : error;
    });
    if (here === folder) selected.clear();
    say(`${quoted(entry.path)} is ${quoted(name)} now.`);
    await load();
  });

remove.onclick = () =>
  trying("Not everything is deleted", async () => {
    const here = folder;
    const gone = entries.filter((entry) => selected.has(entry.href));
    const what = gone.length === 1 ? quoted(gone[0]?.path ?? "") : `${gone.length} entries`;
    const withAll = gone.some((entry) => entry.type === "directory") ? ", with all that is in it," : "";
    if (!(await question(`Delete ${what}${withAll} for good?`, "Delete"))) return;
    for (const entry of gone) {
      await tell(here + entry.href + (entry.type === "directory" ? "?force=1" : ""), { method: "DELETE" }).catch((error: unknown) => {
        // Somebody else was quicker.
        if (!(error instanceof Refused) || error.status !== 404) throw new Error(`${quoted(entry.path)}: ${message(error)}`);
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
    if (made && what === "file" && here === folder) visit(here + made.href);
  });
}

// Where the page is: the address says what is shown, a folder or a file of one, and the browser's Back and Forward lead as they do elsewhere.

const TITLE = document.title;

/** The place in the history of the tab that the address has, and that of what is shown: they differ while somebody is asked. */
let at = 0;
let shownAt = 0;
/** The address of what is shown. */
let shown = "";
let isAsking = false;
let isLeaving = false;
/** How often the page went somewhere. */
let trips = 0;

/** What the address leads to; the name is that of a file, as it stands in a URL, or nothing. */
function wanted(): [folder: string, name: string] {
  const path = location.hash.slice(1);
  // A backslash is a second slash to browsers: what begins with two is another host.
  if (!path.startsWith("/") || path.startsWith("//") || path.includes("\\")) return ["/", ""];
  const end = path.lastIndexOf("/") + 1;
  return [path.slice(0, end), path.slice(end)];
}

/** Goes to a file of the folder that is shown. */
function visit(path: string): void {
  // One that is about to be shown gives its place to the next.
  const { state } = history;
  if (wanted()[1]) history.replaceState(state, "", `#${path}`);
  else history.pushState({ at: state.at + 1, isOverFolder: true }, "", `#${path}`);
  void go();
}

/** From a file to its folder: back, where that is what lies below. */
function leave(): void {
  if (isLeaving) return;
  isLeaving = true;
  if (history.state?.isOverFolder) return history.back();
  history.replaceState({ at }, "", `#${folder}`);
  void go();
}

/** Shows what the address leads to. */
async function go(): Promise<void> {
  isLeaving = false;
  // What has no place yet is new: it comes after the last.
  if (typeof history.state?.at === "number") at = history.state.at;
  else history.replaceState({ at: (at += shown ? 1 : 0) }, "");
  if (isAsking) return;
  if (viewer.isOpen) {
    if (wanted().join("") === shown) {
      shownAt = at;
      return;
    }
    isAsking = true;
    const mayClose = await viewer.mayClose();
    isAsking = false;
    if (!mayClose) return stay();
    viewer.close();
    browser.hidden = false;
  }
  // While there was a question, the address may have changed again.
  const [next, name] = wanted();
  const isSame = shown !== "" && next === folder;
  trips += 1;
  const trip = trips;
  shown = next + name;
  shownAt = at;
  document.title = [decoded(name || (next.split("/").at(-2) ?? "")), TITLE].filter(Boolean).join(" – ");
  if (!isSame) enter(next);
  if (!isSame || !name) await trying("The folder cannot be shown", load);
  // Whoever may only add sees no listing, and what it would say of rights neither.
  offer();
  if (trip !== trips) return;
  if (name) await show(name, () => trip !== trips);
  else if (isSame) focusOn(opened);
}

/** Whoever does not want to leave has the address of what is shown again. */
function stay(): void {
  if (at === shownAt) history.replaceState(history.state, "", `#${shown}`);
  else history.go(shownAt - at);
}

/** Shows another folder, as far as it is known. */
function enter(next: string): void {
  folder = next;
  rights = undefined;
  entries = [];
  isWhole = false;
  rows.clear();
  selected.clear();
  showSelected();
  drawCrumbs();
  say("");
  // Who went on from what is gone now hears where that led; a page that has just been opened begins at its own beginning.
  if (trips > 1) crumbs.querySelector("h1")?.focus();
}

/** What was opened last, which the focus goes back to. */
let opened = "";

/** Shows a file of the folder in its place. */
async function show(name: string, isLate: () => boolean): Promise<void> {
  opened = name;
  const find = () => entries.find(({ href, type }) => href === name && type === "file");
  if (!find()) await trying("The folder cannot be shown", load);
  if (isLate()) return;
  const entry = find();
  let isElsewhere = false;
  await trying(quoted(decoded(name)), async () => {
    if (!entry || kind(entry) === "other") throw new Error("there is nothing of that name to be shown here.");
    isElsewhere = !(await viewer.open(folder + name, entry, isLate));
  });
  if (isLate()) return;
  if (viewer.isOpen) {
    browser.hidden = true;
    say("");
    return;
  }
  shown = folder;
  if (isElsewhere) location.replace(prefix + folder + name);
  else leave();
}

function focusOn(href: string): void {
  const row = [...rows].find((row) => tickOf(row)?.value === href);
  row?.querySelector("a")?.focus();
}

function begin(): void {
  all.setAttribute("aria-label", "Select all");
  all.onchange = () => {
    selected.clear();
    if (all.checked) for (const entry of entries) selected.add(entry.href);
    showTicks();
    showSelected();
  };
  const first = make("th", { role: "columnheader", className: "tick" }, make("label", {}, all));
  table.append(make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, first, ...Object.values(headings))));
  tellOrder();
  const tools = make(
    "div",
    { className: "tools" },
    ...adding,
    ...making,
    rename,
    remove,
  );
  browser.append(crumbs, tools, choose, chooseFolder, sending.element, table);
  root.replaceChildren(browser, viewer.element, status);

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
    if (items) void trying("Not everything could be read", async () => add(await dropped(items)));
  });
  addEventListener("hashchange", () => void go());
  unsaved.isThere = () => viewer.isChanged || sending.isBusy;
  addEventListener("beforeunload", (event) => {
    if (unsaved.isThere()) event.preventDefault();
  });

  // What others change shows at once where events tell of it, else when somebody looks.
  let due: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(() => {
      if (!viewer.isOpen) void trying("The folder cannot be shown", load);
    }, 150);
  };
  // What changed while nothing could be heard is looked for afterwards.
  let isLost = false;
  const lost = () => (isLost = true);
  const opened = () => {
    if (isLost) soon();
    isLost = false;
  };
  if (eventsPath) hear(`${eventsPath}/files`, { message: soon }, opened, lost, lost);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) soon();
  });
  void go();
}

begin();
