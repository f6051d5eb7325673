// Starts the built command on a free port, and the browser that visits it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const BINARY = process.env.NUMBER8_BIN ?? fileURLToPath(new URL("../../target/debug/number8", import.meta.url));
const BROWSER = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const START_MS = 10_000;

/** Serves `folder` until `stop()`, which checks that the server ends cleanly. */
export function serve(folder, ...options) {
  return run(BINARY, ["--bind", "127.0.0.1", "--port", "0", ...options, folder], 0);
}

/** The same at the address of a server that was there before. */
export function serveAgain(url, folder, ...options) {
  return run(BINARY, ["--bind", new URL(url).host, ...options, folder], 0);
}

/** Runs an example, which SIGTERM ends. */
export function runExample(name, ...args) {
  return run(join(dirname(BINARY), name), args, "SIGTERM");
}

async function run(binary, args, end) {
  const child = spawn(binary, args, { env: environment(), stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  const url = await printedUrl(child);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      const [code, signal] = await ended;
      if ((code ?? signal) !== end) throw new Error(`${binary} ended with ${code ?? signal}`);
    },
  };
}

/** Ours, without what would configure the server. */
function environment() {
  const kept = Object.entries(process.env).filter(([key]) => !key.startsWith("NUMBER8_") && key !== "PORT");
  // What a board keeps is gone with the folder for temporary files.
  const state = join(tmpdir(), `number8-state-${process.pid}`);
  return { ...Object.fromEntries(kept), XDG_CONFIG_HOME: "/dev/null", XDG_STATE_HOME: state };
}

/** The first URL on stderr: the one a person would copy into a browser. */
async function printedUrl(child) {
  let seen = "";
  const late = setTimeout(() => child.kill("SIGKILL"), START_MS);
  try {
    for await (const text of child.stderr.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      seen += text;
      const url = seen.match(/https?:\/\/127\.0\.0\.1:\d+\/?(?=\s)/);
      if (url) return url[0].replace(/\/?$/, "/");
    }
  } finally {
    clearTimeout(late);
    child.stderr.resume();
  }
  throw new Error(`number8 printed no URL but: ${seen}`);
}

/** A browser of our own: a new profile, no sandbox (CI runs as root), no calls home, `more` arguments and variables. */
export function openBrowser(more = [], variables = {}) {
  return chromium.launch({
    executablePath: BROWSER,
    env: { ...process.env, ...variables },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
}

/**
 * A new page, and what went wrong on it: failed requests, errors, dialogs. That
 * a folder has no favicon, for which the browser asks unbidden, is no trouble.
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const troubles = [];
  const isFavicon = (url) => new URL(url).pathname === "/favicon.ico";
  page.on("response", (response) => {
    if (response.status() >= 400 && !isFavicon(response.url())) {
      troubles.push(`${response.status()} ${response.url()}`);
    }
  });
  page.on("requestfailed", (request) => troubles.push(`failed ${request.url()}`));
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => {
    const { url } = message.location();
    if (message.type() === "error" && !(url && isFavicon(url))) troubles.push(message.text());
  });
  page.on("dialog", (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return { page, troubles, close: () => context.close() };
}
