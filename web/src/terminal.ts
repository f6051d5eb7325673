// A terminal on the server, which goes on while nobody looks.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { byId, make, prefix, tell as say } from "./common";

const place = byId("terminal");
const status = byId("status");
const restart = byId<HTMLButtonElement>("restart");
const take = byId<HTMLButtonElement>("take");
const bar = byId("keys");

const dark = matchMedia("(prefers-color-scheme: dark)");
const colours = () => {
  const style = getComputedStyle(document.body);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    background: colour("--pane"),
    foreground: colour("--text"),
    cursor: colour("--accent"),
    cursorAccent: colour("--pane"),
    selectionBackground: dark.matches ? "#35506f" : "#bcd6f5",
    black: dark.matches ? "#3a434c" : "#1c2126",
    red: dark.matches ? "#ff9b8e" : "#a5281b",
    green: dark.matches ? "#8fd19e" : "#1c6b33",
    yellow: dark.matches ? "#e5c07b" : "#7a5600",
    blue: dark.matches ? "#82b8ff" : "#0b57b0",
    magenta: dark.matches ? "#d7a6e8" : "#7d3a92",
    cyan: dark.matches ? "#7fd0d6" : "#0f6570",
    white: dark.matches ? "#e3e7eb" : "#5c6670",
  };
};

const terminal = new Terminal({
  cursorBlink: false,
  fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
  fontSize: 15,
  scrollback: 5000,
  screenReaderMode: true,
  theme: colours(),
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(place);
dark.addEventListener("change", () => {
  terminal.options.theme = colours();
});

/** What is typed with one message at most. */
const MESSAGE_BYTES = 64 * 1024;
/** What waits to be shown at most, and what of it the terminal gets at once. */
const WAITING_BYTES_MAX = 1024 * 1024;
const AT_WORK_BYTES_MAX = 128 * 1024;
/** Clears a terminal and what it has been told before, as the server does for those who are slow. */
const RESET = "\x1bc";

let socket: WebSocket | undefined;
let wait = 500;
let isWriter = true;
/** Whether what is shown is new: what the terminal is asked in what was shown before is not to be answered again. */
let isLive = false;

/** Types. */
function type(keys: string | Uint8Array): void {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const bytes = typeof keys === "string" ? new TextEncoder().encode(keys) : keys;
  // What is pasted may be larger than a message.
  for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) socket.send(bytes.slice(at, at + MESSAGE_BYTES));
}

function order(what: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

/** Whoever types says how large the terminal is; others see it as large as that. */
function resize(): void {
  if (!isWriter) return;
  fit.fit();
  order({ resize: [terminal.cols, terminal.rows] });
}

/** What has come and is not shown yet, each with what follows it; what of it the terminal has, and whether something before it was left out. */
let waiting: { data: Uint8Array; shown?: () => void }[] = [];
let waitingBytes = 0;
let atWorkBytes = 0;
let isCut = false;

/** Shows what the program writes; what is more than the terminal keeps pace with is left out, so that Ctrl-C is not seen late. */
function show(data: Uint8Array, shown?: () => void): void {
  waiting.push({ data, shown });
  waitingBytes += data.length;
  while (waitingBytes > WAITING_BYTES_MAX) {
    const first = waiting.shift();
    waitingBytes -= first?.data.length ?? 0;
    first?.shown?.();
    isCut = true;
  }
  showMore();
}

function showMore(): void {
  while (atWorkBytes < AT_WORK_BYTES_MAX) {
    const next = waiting.shift();
    if (!next) return;
    if (isCut) terminal.write(RESET);
    isCut = false;
    const { length } = next.data;
    waitingBytes -= length;
    atWorkBytes += length;
    terminal.write(next.data, () => {
      atWorkBytes -= length;
      next.shown?.();
      showMore();
    });
  }
}

function connect(): void {
  const address = new URL(`${prefix}/.number8/repl`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const opened = new WebSocket(address);
  opened.binaryType = "arraybuffer";
  opened.onopen = () => {
    wait = 500;
    isLive = false;
    // What is still kept comes again.
    waiting = [];
    waitingBytes = 0;
    isCut = true;
    status.textContent = "Connected";
    isWriter = true;
    resize();
    terminal.focus();
  };
  opened.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return show(new Uint8Array(data));
    const told = JSON.parse(data as string) as Told;
    if (told.state && !isLive) {
      show(new Uint8Array(), () => {
        isLive ||= opened === socket;
      });
    }
    tell(told);
  };
  opened.onclose = () => {
    status.textContent = "Not connected. Trying again …";
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 15_000);
    // A socket does not say why it was refused; a login that has ended leads to the form.
    void say("/.number8/terminal", { method: "HEAD" }).catch(() => undefined);
  };
  socket = opened;
}

interface Told {
  state?: { viewers: number; writer: boolean; cols: number; rows: number };
  exit?: { code?: number; signal?: number } | null;
}

function tell({ state, exit }: Told): void {
  if (state) {
    const wasWriter = isWriter;
    isWriter = state.writer;
    take.hidden = isWriter;
    terminal.options.disableStdin = !isWriter;
    // Who only watches sees what the one who types sees.
    if (!isWriter) terminal.resize(state.cols, state.rows);
    else if (!wasWriter) resize();
    const others = state.viewers - 1;
    const who = others === 0 ? "" : others === 1 ? ", one other looks on" : `, ${others} others look on`;
    status.textContent = (isWriter ? "You type" : "Somebody else types") + who;
  }
  if (exit !== undefined) {
    const how = exit?.signal !== undefined ? `by signal ${exit.signal}` : exit ? `with exit status ${exit.code}` : "at once";
    status.textContent = `Ended ${how}. Restart begins a new one.`;
  }
}

byId("hint").hidden = restart.hidden = false;
restart.onclick = () => {
  order({ restart: true });
  terminal.focus();
};
take.onclick = () => socket?.close();

// Keys that a phone does not have

let isControl = false;
const control = make("button", { type: "button" }, "Ctrl");
const setControl = (on: boolean) => {
  isControl = on;
  control.setAttribute("aria-pressed", String(on));
};
setControl(false);
control.onclick = () => {
  setControl(!isControl);
  terminal.focus();
};
const KEYS: [text: string, keys: string, label?: string][] = [
  ["Esc", "\x1b"],
  ["Tab", "\t"],
  ["↑", "\x1b[A", "Up"],
  ["↓", "\x1b[B", "Down"],
  ["←", "\x1b[D", "Left"],
  ["→", "\x1b[C", "Right"],
  ["Ctrl-C", "\x03"],
  ["Ctrl-D", "\x04"],
];
bar.append(
  control,
  ...KEYS.map(([text, keys, label]) => {
    const button = make("button", { type: "button" }, text);
    if (label) button.setAttribute("aria-label", label);
    button.onclick = () => {
      type(keys);
      terminal.focus();
    };
    return button;
  }),
);
// The keyboard of the phone stays where it is.
bar.addEventListener("pointerdown", (event) => event.preventDefault());

terminal.onData((data) => {
  if (!isLive) return;
  if (isControl && data.length === 1) {
    setControl(false);
    data = String.fromCharCode(data.toUpperCase().charCodeAt(0) & 31);
  }
  type(data);
});
// What comes without a key, from a palette of characters or by voice, xterm.js passes over in its mode for screen readers.
let isKeyDown = false;
terminal.textarea?.addEventListener("keydown", () => (isKeyDown = true), true);
terminal.textarea?.addEventListener("keyup", () => (isKeyDown = false), true);
terminal.textarea?.addEventListener("input", (event) => {
  const { inputType, data, isComposing } = event as InputEvent;
  if (inputType === "insertText" && data && !isComposing && !isKeyDown) terminal.input(data);
});
terminal.onBinary((data) => type(Uint8Array.from(data, (c) => c.charCodeAt(0))));

new ResizeObserver(() => resize()).observe(place);
visualViewport?.addEventListener("resize", () => {
  document.documentElement.style.setProperty("--height", `${visualViewport?.height ?? innerHeight}px`);
});
connect();
