// What every page needs: what the server has told it, requests, and elements.

const told = document.body.dataset;

/** What stands before every path. */
export const prefix = told.prefix ?? "";
/** Where events are heard; empty where they are not. */
export const eventsPath = told.events ?? "";
/** Where the person may look into or add to, where it is not the first folder of all. */
export const folders = told.folders?.split("\n").filter(Boolean) ?? [];
/** What becomes of a file that is there when one of its name is added: the one, the other, or both stay. */
export const onClash = (told.overwrite ?? "replace") as "error" | "replace" | "rename";
/** What the policy of the page lets styles in by. */
export const nonce = told.nonce ?? "";

/** An answer that is none of those that were wanted, in the words of the server. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What is on the page and nowhere else, such as a text that is not saved. */
export const unsaved = { isThere: () => false };
const LOGGED_OUT = "You are not logged in any more. Log in on another page of this browser, then come back and try again.";

/** Asks our server. Whoever is not logged in any more is led to the form, and back, unless that would lose what is typed. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (told.token) headers.set("X-Number8-Token", told.token);
  if (!headers.has("Accept")) headers.set("Accept", "application/json");
  let answer: Response;
  try {
    answer = await fetch(prefix + path, { cache: "no-store", ...init, headers });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (answer.status === 401) {
    if (unsaved.isThere()) throw new Refused(401, LOGGED_OUT);
    logIn();
  }
  if (!answer.ok) throw new Refused(answer.status, explanation(await answer.text().catch(() => ""), answer.status));
  return answer;
}

/** The same, where only the head of the answer is of interest. */
export async function tell(path: string, init: RequestInit): Promise<Response> {
  const answer = await ask(path, init);
  await answer.arrayBuffer();
  return answer;
}

export function logIn(): void {
  const here = location.pathname + location.search + location.hash;
  location.assign(`${prefix}/.number8/login?to=${encodeURIComponent(here)}`);
}

/** What an answer says is wrong, as JSON or in a line; of what others have put in its place, such as a proxy, there is nothing to tell. */
export function explanation(text: string, status: number): string {
  const sentence = detail(text) ?? /^\d{3} [^:<]*: (.+)/.exec(text)?.[1];
  return sentence ? `${sentence[0]?.toUpperCase()}${sentence.slice(1)}.` : `The server answers ${status}.`;
}

function detail(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { detail?: string }).detail;
  } catch {
    return undefined;
  }
}

export function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The element of that id, which the page has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found as T;
}

type Properties<K extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[K], "style">>;

/** A new element. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties<K> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

/** What of a name turns the direction of writing. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
const LEFTWARD = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A name as it is shown. SECURITY: what turns the direction of writing makes `x<U+202E>gpj.exe` look like a picture. */
function shown(name: string): string {
  return name.replace(TURNS, "\ufffd").replace(/\p{Cc}/gu, "\ufffd");
}

/** A name within a sentence, whose order it does not change. */
export function quoted(name: string): string {
  const text = shown(name);
  return LEFTWARD.test(text) ? `\u2068${text}\u2069` : text;
}

/** A name for itself, with what follows it. */
export function named(name: string, after = ""): HTMLElement {
  return make("bdi", {}, shown(name) + after);
}

/**
 * Hears events with their ids, again and again: a browser gives up when an answer is no stream, which is `refused`. That the
 * connection is `lost` may be said more than once, until it is `opened` again.
 */
export function hear(
  path: string,
  handlers: Record<string, (data: string, id: string) => void>,
  opened?: () => void,
  refused?: () => void,
  lost?: () => void,
): void {
  let wait = 1000;
  const open = () => {
    const source = new EventSource(path);
    source.onopen = () => {
      wait = 1000;
      opened?.();
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return lost?.();
      refused?.();
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 30_000);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>;
        handler(data, lastEventId);
      });
    }
  };
  open();
}

/** A length for people. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  const count = bytes / 1024 ** power;
  return `${count < 10 ? (Math.floor(count * 10) / 10).toFixed(1) : Math.floor(count)} ${["", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** A time for people: of today the clock, else the day. */
export function when(date: Date): string {
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock.format(date) : day.format(date);
}

/** Why a name of a file or folder cannot be; empty where it can. The server is asked about the rest. */
export function nameProblem(name: string): string {
  if (!name.trim()) return "A name is needed.";
  if (name === "." || name === "..") return `A name cannot be ${name}`;
  const character = /[/\\]/.exec(name)?.[0];
  if (character) return `A name cannot have ${character} in it.`;
  const bytes = new TextEncoder().encode(name).length;
  return bytes > NAME_BYTES_MAX ? `The name is too long: ${bytes} bytes, where ${NAME_BYTES_MAX} can be.` : "";
}

/** As the server has it. */
const NAME_BYTES_MAX = 255;

/**
 * Asks a question in a dialog; the answer is what was typed, or "yes" where nothing can be; null for no.
 * `problem` says what is wrong with what was typed: the dialog stays until nothing is.
 */
export function question(text: string, yes: string, value?: string, problem?: (typed: string) => string): Promise<string | null> {
  const input = make("input", { value: value ?? "", required: true, autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-label", text);
  const go = make("button", { className: "main", value: "yes" }, yes);
  const no = make("button", { type: "button" }, "Cancel");
  const form = make("form", { method: "dialog" }, make("p", {}, text));
  if (value !== undefined) form.append(input);
  if (problem) {
    const wrong = make("p", { className: "problem" });
    wrong.setAttribute("role", "alert");
    form.append(wrong);
    form.noValidate = true;
    form.onsubmit = (event) => {
      wrong.textContent = problem(input.value);
      if (!wrong.textContent) return;
      event.preventDefault();
      input.focus();
    };
  }
  form.append(make("div", { className: "tools" }, go, no));
  const dialog = make("dialog", {}, form);
  dialog.setAttribute("aria-label", text);
  document.body.append(dialog);
  no.onclick = () => dialog.close();
  dialog.showModal();
  if (value !== undefined) {
    const dot = value.lastIndexOf(".");
    input.setSelectionRange(0, dot > 0 ? dot : value.length);
  }
  return new Promise((answer) => {
    dialog.onclose = () => {
      answer(dialog.returnValue === "yes" ? (value === undefined ? "yes" : input.value) : null);
      dialog.remove();
    };
  });
}
