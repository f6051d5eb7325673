// A board for each test of a file, and a browser for all of them.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";
import { DESK, logIn } from "./look.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

/** Serves a new folder with these files for each test; `options` gives what the command is told besides, for that folder. */
export function withBoard(files = {}, options = () => []) {
  const board = {
    /** Opens a page of it as somebody who has logged in. */
    async open(path, look = DESK, name = "admin") {
      const opened = await openPage(board.browser, look);
      await logIn(opened.page, board.server.url, path, "pw", name);
      return opened;
    },
  };

  before(async () => {
    board.browser = await openBrowser();
  });

  after(() => board.browser?.close());

  beforeEach(async () => {
    board.folder = await mkdtemp(join(tmpdir(), "number8-"));
    for (const [name, content] of Object.entries(files)) {
      await mkdir(join(board.folder, dirname(name)), { recursive: true });
      await writeFile(join(board.folder, name), content);
    }
    board.server = await serve(board.folder, "--board", "--auth", "admin:pw@/:all", ...options(board.folder));
  });

  afterEach(async () => {
    await board.server?.stop();
    await rm(board.folder, { recursive: true, force: true });
  });

  return board;
}

/**
 * Hands the page's requests for that address to `handler` from now on. Chromium says that it does so before it does, so a request
 * that changes nothing is sent until it is handed over.
 */
export async function meet(page, address, handler, options) {
  await page.route(address, handler, options);
  const sent = "/.number8/assets/style.css?met";
  const isIt = (url) => url.href.endsWith(sent);
  await page.route(isIt, (route) => route.fulfill({ status: 204 }));
  while (!(await page.evaluate(async (sent) => (await fetch(sent, { cache: "no-store" })).status === 204, sent)));
  await page.unroute(isIt);
}

/**
 * Holds the next request for that address back, of that method where one is given: `asked` gives it when it has come. The others go
 * by; they are handed over all the same, as Playwright lets what is held go on where nothing is to be any more.
 */
export async function holdBack(page, address, method) {
  let come;
  const asked = new Promise((resolve) => (come = resolve));
  let awaits = false;
  await meet(page, address, (route) => {
    if (!awaits || (method && route.request().method() !== method)) {
      return route.fallback();
    }
    awaits = false;
    come(route);
  });
  awaits = true;
  return { asked };
}
