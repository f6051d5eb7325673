// The program: written, run, watched line by line, stopped.

import { Refused, ask, byId, eventsPath, hear, make, message, named, prefix, question, quoted, size, tell, unsaved, when } from "./common";
import { Editor } from "./editor";
import { Output } from "./output";

interface State {
  state: "idle" | "running" | "ended";
  id?: number;
  language?: string;
  name?: string | null;
  code?: string;
  /** What a traceback calls the program. */
  file?: string;
  /** The account that has started it, or the server itself. */
  by?: string | null;
  at_start?: boolean;
  started?: number;
  seconds?: number;
  exit?: { code?: number; signal?: number } | null;
  stopped?: string | null;
}

const RUN = "/.number8/run";

const form = byId<HTMLFormElement>("run");
const code = byId<HTMLTextAreaElement>("code");
const language = byId<HTMLSelectElement>("language");
const pace = byId<HTMLSelectElement>("pace");
const go = byId<HTMLButtonElement>("go");
const stop = byId<HTMLButtonElement>("stop");
const status = byId("status");
const input = byId<HTMLInputElement>("input");
const programName = byId<HTMLInputElement>("program-name");

let state: State = { state: "idle" };
let isTyped = false;
/** The program that this page has started, and whether it is about to. */
let ours: number | undefined;
let isStarting = false;
const heat = new Map<number, number>();
const output = new Output(byId("output"), linked, sayWhatIsLeftOut);

const nameOf = (language: string) => `program.${language}`;
const editor = new Editor(byId("editor"), "Code", code.value, nameOf(language.value), {
  changed: () => {
    isTyped = true;
  },
  done: () => void run(),
  save: () => byId<HTMLFormElement>("save-form").requestSubmit(),
  runs: true,
});
code.hidden = true;
byId("code-label").hidden = true;
for (const element of document.querySelectorAll<HTMLElement>(".with-script")) element.hidden = false;

function say(text: string, isWrong = false): void {
  status.textContent = text;
  byId("clock").textContent = "";
  status.classList.toggle("problem", isWrong);
}

async function trying(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    say(message(error), true);
  }
}

// Running

async function run(): Promise<void> {
  if (isRunning() || isStarting) return;
  go.disabled = isStarting = true;
  await trying(async () => {
    const { text } = editor;
    const body = new URLSearchParams({ code: text, language: language.value });
    if (programName.value) body.set("name", programName.value);
    if (pace.value) body.set("pace", pace.value);
    const answer = await ask(RUN, { method: "POST", body }).catch((error: unknown) => {
      throw error instanceof Refused && error.status === 409 ? new Error("A program is running already.") : error;
    });
    isTyped = editor.text !== text;
    const next = (await answer.json()) as State;
    ours = next.id;
    show(next);
  });
  isStarting = false;
  go.disabled = isRunning();
}

function isRunning(): boolean {
  return state.state === "running";
}

/** What is said of a program that runs; who else has started it, and when. */
function running({ id, by, at_start: isOfServer, started }: State): string {
  if (isStarting || id === ours) return "Running";
  const who = isOfServer ? ", started by the server" : by ? `, started by ${by}` : "";
  return started ? `Running since ${when(new Date(1000 * started))}${who}` : `Running${who}`;
}

function seconds(count: number): string {
  return count < 10 ? `${count.toFixed(1)} s` : count < 60 ? `${Math.round(count)} s` : `${Math.floor(count / 60)} min ${Math.round(count % 60)} s`;
}

const WHY: Record<string, string> = {
  asked: "Stopped",
  time: "Stopped: it ran as long as it may",
  memory: "Stopped: it took more memory than it may",
  output: "Stopped: it wrote more than it may",
  processes: "Stopped: it started more processes than it may",
  server: "Stopped with the server",
};

function ending({ exit, stopped, seconds: taken = 0 }: State): string {
  const after = ` after ${seconds(taken)}`;
  if (stopped) return (WHY[stopped] ?? "Stopped") + after + ".";
  if (exit?.signal !== undefined) return `Ended by signal ${exit.signal}${after}.`;
  return `Ended with exit status ${exit?.code ?? 0}${after}.`;
}

/** The clock of the server and ours differ: time counts from when we saw it. */
let seen = 0;
let clock: ReturnType<typeof setInterval> | undefined;

function show(next: State): void {
  // Another run of the server may count from the beginning.
  const isSame = next.id === state.id && next.started === state.started;
  // A program that ends at once has its end told before the answer to its start.
  if (isSame && state.state === "ended" && next.state === "running") return;
  if (!isSame) {
    heat.clear();
    // What has come before the first answer, or after the beginning was lost, is of this one.
    if (state.id !== undefined && next.state === "running") output.clear();
  }
  const wasRunning = isRunning();
  state = next;
  go.disabled = isRunning();
  stop.hidden = !isRunning();
  byId("input-form").hidden = !isRunning();
  clearInterval(clock);
  if (isRunning()) {
    seen = performance.now() - 1000 * (state.seconds ?? 0);
    const said = running(state);
    say(said);
    // Beside what is read out, which each second is not.
    const tick = () => {
      const now = seconds((performance.now() - seen) / 1000);
      if (status.textContent === said) byId("clock").textContent = said === "Running" ? ` for ${now}` : `, for ${now}`;
    };
    tick();
    clock = setInterval(tick, 1000);
  } else {
    editor.show(null, heat);
    if (state.state === "ended") say(ending(state), Boolean(state.exit && state.exit.code !== 0) || Boolean(state.stopped));
    else if (wasRunning) say(`${WHY.server}.`, true);
    if (wasRunning && state.state === "ended") void programs().catch(() => undefined);
  }
}

/** Shows what the server says, unless it has told something newer meanwhile. */
async function look(): Promise<void> {
  const before = state;
  const next = (await (await ask(RUN)).json()) as State;
  const isNews = next.state !== before.state || next.id !== before.id || next.started !== before.started;
  if (state === before && (isNews || next.state === "idle")) show(next);
}

/** Whoever is not logged in any more is not led away from what is in the editor, but told. */
async function sayIfLoggedOut(): Promise<void> {
  const { status } = await fetch(prefix + RUN, { cache: "no-store", headers: { Accept: "application/json" } });
  if (status !== 401) return;
  show({ state: "idle" });
  say("You are not logged in any more: load the page again.", true);
}

// Output

/** A text of the stream of errors, with links to the lines of the program that it names: of no other file, whose lines are not here. */
function linked(text: string): (Node | string)[] {
  const { file } = state;
  if (!file || !text.includes(file)) return [text];
  // Python, then Node, dash and bash.
  const place = new RegExp(`(?:File ")?${file.replace(/\W/g, "\\$&")}(?:", line |: ?(?:line )?)(\\d+)`, "g");
  const pieces: (Node | string)[] = [];
  let from = 0;
  for (const match of text.matchAll(place)) {
    pieces.push(text.slice(from, match.index));
    // The folder that the program runs from is new each time, and says nothing.
    const link = make("a", { href: "#editor" }, match[0].replace(file, file.split("/").pop() ?? file));
    link.onclick = (event) => {
      event.preventDefault();
      editor.goTo(Number(match[1]));
    };
    pieces.push(link);
    from = match.index + match[0].length;
  }
  pieces.push(text.slice(from));
  return pieces;
}

function sayWhatIsLeftOut(): void {
  const { leftOut, hasGap } = output;
  byId("left-out").hidden = !leftOut && !hasGap;
  const lines = leftOut === 1 ? "1 line" : `${leftOut.toLocaleString("en")} lines`;
  byId("left-out-count").textContent = hasGap || !leftOut ? "Much of the output is left out." : `${lines} before these are left out.`;
}

function line(data: { line: number | null; heat?: Record<string, number> }): void {
  for (const [line, count] of Object.entries(data.heat ?? {})) {
    heat.set(Number(line), (heat.get(Number(line)) ?? 0) + count);
  }
  editor.show(data.line, heat);
}

// Programs that are kept

/** The names that are taken, and that of the saved program which is in the editor. */
let names: string[] = [];
let opened: string | null = null;

async function programs(): Promise<void> {
  const list = byId("programs");
  const kept = (await (await ask(`${RUN}/programs/`)).json()) as {
    programs: { name: string; modified: number; size: number }[];
    history: { id: number; started: number; name: string | null; exit: State["exit"] }[];
  };
  names = kept.programs.map(({ name }) => name);
  const open = (text: string, note: string, path: string, name: string | null, isSaved = false) => {
    const button = make("button", { type: "button", className: "item" }, make("span", {}, named(text)), make("span", { className: "faint" }, note));
    button.onclick = () =>
      trying(async () => {
        if (unsaved.isThere() && !(await question("What you have typed is not saved.", "Throw it away"))) return;
        opened = isSaved ? name : null;
        editor.text = await (await ask(path, { headers: { Accept: "text/plain" } })).text();
        programName.value = name ?? "";
        if (name) byName(name);
        isTyped = false;
        editor.focus();
      });
    return make("li", {}, button);
  };
  list.replaceChildren(
    ...kept.programs.map(({ name, size: bytes }) => {
      const item = open(name, size(bytes), `${RUN}/programs/${encodeURIComponent(name)}`, name, true);
      const remove = make("button", { type: "button" }, "Delete");
      remove.setAttribute("aria-label", `Delete ${quoted(name)}`);
      remove.onclick = () =>
        trying(async () => {
          if (!(await question(`Delete ${quoted(name)} for good?`, "Delete"))) return;
          await tell(`${RUN}/programs/${encodeURIComponent(name)}`, { method: "DELETE" });
          say(`${quoted(name)} is deleted.`);
          await programs();
        });
      item.append(remove);
      return item;
    }),
  );
  byId("no-programs").hidden = kept.programs.length > 0;
  byId("no-history").hidden = kept.history.length > 0;
  byId("history").replaceChildren(
    ...kept.history.map(({ id, started, name, exit }) => {
      const how = exit?.signal !== undefined ? `signal ${exit.signal}` : exit ? `exit status ${exit.code}` : "running";
      return open(`${name ?? "Program"} at ${when(new Date(started * 1000))}`, how, `${RUN}/programs/history/${id}`, name);
    }),
  );
}

/** Chooses the language that goes with the extension of a name. */
function byName(name: string): void {
  const extension = name.split(".").pop() ?? "";
  if ([...language.options].some((option) => option.value === extension)) language.value = extension;
  editor.name = nameOf(language.value);
}

// What the buttons do

form.onsubmit = (event) => {
  event.preventDefault();
  void run();
};
stop.onclick = () => trying(() => tell(`${RUN}/stop`, { method: "POST" }));
language.onchange = () => {
  editor.name = nameOf(language.value);
};
byId("save-form").onsubmit = (event) => {
  event.preventDefault();
  void trying(async () => {
    let name = programName.value.trim();
    if (!name) return programName.focus();
    if (!name.includes(".")) name += `.${language.value}`;
    programName.value = name;
    // Somebody else may have taken the name meanwhile.
    await programs();
    if (name !== opened && names.includes(name) && !(await question(`There is ${quoted(name)} already. Replace it?`, "Replace"))) return;
    const { text } = editor;
    await tell(`${RUN}/programs/${encodeURIComponent(name)}`, { method: "PUT", body: text });
    isTyped = editor.text !== text;
    opened = name;
    say(`${quoted(name)} is saved.`);
    await programs();
  });
};
byId("input-form").onsubmit = (event) => {
  event.preventDefault();
  const text = `${input.value}\n`;
  input.value = "";
  void trying(() => tell(`${RUN}/input`, { method: "POST", body: text }));
};
byId("input-end").onclick = () => trying(() => tell(`${RUN}/input?end`, { method: "POST" }));
byId("clear").onclick = () => output.clear();
unsaved.isThere = () => isTyped && editor.text.trim() !== "";
addEventListener("beforeunload", (event) => {
  if (unsaved.isThere()) event.preventDefault();
});

// What the server tells

/** Whether what is heard is late. */
let isLost = false;

/** The id of the last event: which run of the server it is of, and its number there. */
let lastRun = "";
let lastNumber = 0;

/** What comes again is passed over; what never came is told of. */
const parsed =
  <T>(handler: (data: T) => void, isBeginning = false) =>
  (data: string, id: string) => {
    const [run = "", count = "0"] = id.split("-");
    const number = Number(count);
    const isSame = run === lastRun;
    if (isSame && number <= lastNumber) return;
    if (!isBeginning && number !== (isSame ? lastNumber : 0) + 1) output.gap();
    lastRun = run;
    lastNumber = number;
    handler(JSON.parse(data) as T);
  };
hear(
  prefix + RUN + "/events",
  {
    start: parsed<State>((next) => {
      if (next.id !== state.id || next.started !== state.started || !isRunning()) show(next);
    }, true),
    output: parsed<{ stream: string; text: string }>(({ stream, text }) => output.write(stream, text)),
    line: parsed(line),
    exit: parsed(show),
  },
  () => {
    if (isLost) {
      isLost = false;
      say("");
      show(state);
    }
    // A server that was started anew tells nothing of what ran before.
    void trying(look);
  },
  () => void trying(sayIfLoggedOut),
  () => {
    if (!isLost) say("The connection is lost. Trying again …", true);
    isLost = true;
  },
);

if (eventsPath) {
  const list = byId("events");
  const add = (data: string) => {
    byId("no-events").hidden = true;
    const time = make("time", {}, new Date().toLocaleTimeString());
    list.prepend(make("li", {}, time, make("span", {}, data)));
    while (list.childElementCount > 200) list.lastElementChild?.remove();
  };
  hear(eventsPath, { message: add });
}

void trying(look);
void programs().catch(() => undefined);
