// The page with the program: written, run, watched line by line, stopped; and what all pages weigh.

import assert from "node:assert/strict";
import { join } from "node:path";
import { holdBack, withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";
import { DARK, DESK, PHONE, assertFitsThumbs, assertReadable, logIn } from "./look.mjs";
import { openPage, serveAgain } from "./number8.mjs";

const WEIGHT_MAX = 400 * 1024;
const FIRST_PAINT_MS_MAX = 1000;

const board = withBoard({ "hello.txt": "hello\n" }, (folder) => ["--programs", join(folder, ".programs")]);

async function open(look) {
  const opened = await board.open("/.number8/board", look);
  await opened.page.locator(".cm-content").waitFor();
  return opened;
}

/** Types a program as a person does, so that the editor has its say. */
async function write(page, lines) {
  await page.locator(".cm-content").fill(lines.join("\n"));
}

const run = (page) => page.getByRole("button", { name: "Run", exact: true }).click();

/** The line that is highlighted, counted from 1; 0 for none. */
const runningLine = (page) =>
  page.locator(".cm-line").evaluateAll((lines) => lines.findIndex((line) => line.classList.contains("cm-running")) + 1);

const LOOP = ["import time", "n = 0", "while True:", "    n += 1", "    print('line', n)", "    time.sleep(0.3)", "    time.sleep(0.3)"];

test("b19 x3: output comes line by line, the highlight moves, and a program is stopped", async () => {
  const { page, troubles, close } = await open();
  await write(page, LOOP);
  await run(page);
  const output = page.getByRole("log");
  for (const line of ["line 1", "line 2", "line 3"]) await output.getByText(line, { exact: false }).waitFor();
  assert.match(await output.textContent(), /^line 1\nline 2\nline 3\n/);
  const seen = new Set();
  while (!(seen.has(6) && seen.has(7))) seen.add(await runningLine(page));
  // How long each line took is beside it.
  await page.locator(".heat-8").first().waitFor();
  assert.match(await page.locator(".heat-8").first().getAttribute("title"), /^\d+ % of the time$/);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText(/^Stopped after \d/).waitFor();
  assert.equal(await runningLine(page), 0);
  await page.getByRole("button", { name: "Stop" }).waitFor({ state: "hidden" });
  assert.deepEqual(troubles.filter((trouble) => !/\/events/.test(trouble)), []);
  await close();
});

test("wish 33: the line that runs is seen also where the system chooses the colours", async () => {
  const { page, close } = await open({ ...DESK, forcedColors: "active" });
  await write(page, LOOP);
  await run(page);
  await page.locator(".cm-running").waitFor();
  await page.locator(".heat-8").waitFor();
  const colours = await page.evaluate(() => {
    const chosen = document.createElement("p");
    chosen.style.cssText = "forced-color-adjust: none; background: Highlight";
    document.body.append(chosen);
    const places = [chosen, document.querySelector(".cm-running"), document.querySelector(".heat-8")];
    return places.map((place) => getComputedStyle(place).backgroundColor);
  });
  assert.deepEqual(colours, Array(3).fill(colours[0]));
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText(/^Stopped after \d/).waitFor();
  await close();
});

test("x2: the exit status is told, and a traceback leads to its line", async () => {
  const { page, close } = await open();
  await write(page, ["def half(n):", "    return n / 0", "", "print('before')", "half(1)"]);
  await run(page);
  await page.getByText(/^Ended with exit status 1 after/).waitFor();
  const output = page.getByRole("log");
  assert.match(await output.textContent(), /^before\n/);
  await output.getByRole("link", { name: /File ".*", line 2/ }).click();
  const selected = await page.evaluate(() => getSelection().toString());
  assert.equal(selected.trim(), "return n / 0");
  await write(page, ["import sys", "sys.exit(7)"]);
  await run(page);
  await page.getByText(/^Ended with exit status 7 after/).waitFor();
  await close();
});

test("x2: errors lead to lines of the program, whatever wrote them, and to no line for those of other files", async () => {
  const { page, close } = await open();
  const links = async (end) => {
    await page.getByText(end).waitFor();
    // What was written may be shown a moment later.
    const all = page.getByRole("log").getByRole("link");
    await all.first().waitFor();
    return all.allTextContents();
  };
  await write(page, ["import sys", "exec('1/0')"]);
  await run(page);
  assert.deepEqual(await links(/^Ended with exit status 1 after/), ['File "program.py", line 2']);
  await write(page, ["", "if then"]);
  await page.getByLabel("Language").selectOption("sh");
  await run(page);
  assert.deepEqual(await links(/^Ended with exit status 2 after/), ["program.sh: 2"]);
  await page.getByRole("log").getByRole("link").click();
  assert.equal(await page.evaluate(() => getSelection().toString()), "if then");
  await write(page, ["", "", "throw new Error('no')"]);
  await page.getByLabel("Language").selectOption("js");
  await run(page);
  assert.deepEqual((await links(/^Ended with exit status 1 after/)).slice(0, 2), ["program.js:3", "program.js:3"]);
  await close();
});

test("x2: a program is started once, however often the keys are pressed, and what is typed meanwhile is not taken for run", async () => {
  const { page, troubles, close } = await open();
  await write(page, ["print('once')"]);
  const { asked } = await holdBack(page, "**/.number8/run", "POST");
  await page.keyboard.press("Control+Enter");
  const held = await asked;
  await page.keyboard.press("Control+Enter");
  await page.keyboard.type("#");
  await held.continue();
  await page.getByText(/^Ended with exit status 0/).waitFor();
  assert.equal(await page.getByRole("log").textContent(), "once\n");
  await page.getByText("Programs that ran before").click();
  await page.getByRole("button", { name: /exit status 0/ }).click();
  await page.getByRole("dialog").getByText("What you have typed is not saved.").waitFor();
  assert.deepEqual(troubles.filter((trouble) => !/\/events/.test(trouble)), []);
  await close();
});

test("x4: a program is given input", async () => {
  const { page, close } = await open();
  await write(page, ["name = input('who? ')", "print('hello', name)", "import sys", "print(len(sys.stdin.read()))"]);
  await run(page);
  await page.getByRole("log").getByText("who?").waitFor();
  await page.getByLabel("Input").fill("Ada");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("hello Ada").waitFor();
  await page.getByRole("button", { name: "End of input" }).click();
  await page.getByText(/^Ended with exit status 0/).waitFor();
  await close();
});

test("x5: a job survives the page, and a second page sees it", async () => {
  const first = await open();
  await write(first.page, LOOP);
  await run(first.page);
  await first.page.getByRole("log").getByText("line 2").waitFor();
  await first.close();
  const second = await open();
  // The editor has the program, and what it has written so far comes again.
  await second.page.getByRole("log").getByText("line 1", { exact: false }).first().waitFor();
  assert.match(await second.page.locator(".cm-content").textContent(), /while True/);
  await second.page.getByText(/^Running since .*, started by admin$/).waitFor();
  const third = await open();
  await third.page.getByRole("button", { name: "Stop" }).click();
  await second.page.getByText(/^Stopped after/).waitFor();
  await second.close();
  await third.close();
});

for (const [options, text] of [
  [["--allow", "all"], "Stopped with the server."],
  [["--auth", "admin:pw@/:all"], "You are not logged in any more: load the page again."],
]) {
  test(`x5: a page says so when the server was started anew (${options[0]})`, async () => {
    const { page, close } = await open();
    await write(page, LOOP);
    await run(page);
    await page.getByRole("log").getByText("line 2").waitFor();
    await board.server.stop();
    await page.getByText("The connection is lost. Trying again …").waitFor();
    board.server = await serveAgain(board.server.url, board.folder, "--board", ...options);
    await page.getByText(text).waitFor();
    assert.equal(await page.getByRole("button", { name: "Stop" }).isVisible(), false);
    await page.getByRole("button", { name: "Run", exact: true }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Run", exact: true }).isEnabled(), true);
    await close();
  });
}

test("x5: whose login has ended keeps what is typed, logs in on another page and goes on", async () => {
  const { page, close } = await open();
  await write(page, ["print('typed for an hour')"]);
  await board.server.stop();
  board.server = await serveAgain(board.server.url, board.folder, "--board", "--auth", "admin:pw@/:all");
  await run(page);
  await page.getByText("You are not logged in any more. Log in on another page").waitFor();
  const other = await page.context().newPage();
  await logIn(other, board.server.url, "/.number8/board");
  await other.getByRole("heading", { name: "Program", exact: true }).waitFor();
  await run(page);
  await page.getByRole("log").getByText("typed for an hour").waitFor();
  await close();
});

test("x1: Ctrl-S saves the program", async () => {
  const { page, close } = await open();
  await write(page, ["print('kept')"]);
  await page.keyboard.press("Control+s");
  await page.keyboard.type("kept.py");
  await page.locator(".cm-content").focus();
  await page.keyboard.press("Control+s");
  await page.getByText("kept.py is saved.").waitFor();
  await close();
});

test("x2: progress bars and colours are shown as a terminal would", async () => {
  const { page, close } = await open();
  await write(page, [
    "for i in range(0, 101, 10): print(f'\\r{i:3d}% of 100', end='')",
    "print()",
    "print('\\x1b[1;31mred\\x1b[0m \\x1b]0;title\\x07\\x1b[?25lplain')",
    "print('a long line\\r\\x1b[Kshort')",
  ]);
  await run(page);
  await page.getByText(/^Ended with exit status 0/).waitFor();
  const output = page.getByRole("log");
  await output.getByText("short").waitFor();
  assert.equal(await output.textContent(), "100% of 100\nred plain\nshort\n");
  assert.equal(await output.locator(".red.bold").textContent(), "red");
  await assertReadable(page);
  // Where there are no scripts, too.
  const headers = { Authorization: `Basic ${btoa("admin:pw")}` };
  const kept = await fetch(board.server.url + ".number8/run/output?plain", { headers });
  assert.equal(await kept.text(), "100% of 100\nred plain\nshort\n");
  await close();
});

test("x2: the end of a line is there as soon as it is written", async () => {
  const { page, close } = await open();
  await write(page, ["print('asks', end='', flush=True)", "input()", "print(flush=True)", "input()"]);
  await run(page);
  await page.getByRole("log").getByText("asks").waitFor();
  await page.getByLabel("Input").fill("x");
  await page.getByRole("button", { name: "Send" }).click();
  await page.waitForFunction(() => document.getElementById("output").textContent === "asks\n", null, { timeout: 10_000 });
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText(/^Stopped/).waitFor();
  await close();
});

test("x2: however much a program writes, the page answers and says what it leaves out", async () => {
  const { page, close } = await open();
  await write(page, ["for i in range(400_000): print('line', i)"]);
  await run(page);
  const output = page.getByRole("log");
  await output.getByText("line 399999").waitFor();
  await page.getByText(/^Ended with exit status 0/).waitFor();
  await page.getByText(/left out\./).waitFor();
  await page.getByRole("link", { name: "What the server keeps" }).waitFor();
  assert.ok((await output.locator("div").count()) <= 2_000);
  await close();
});

test("wish 33: a long line is no wider than the editor, and the page tells how Tab leaves it", async () => {
  const { page, close } = await open();
  await write(page, ["x".repeat(300)]);
  const editor = await page.locator(".cm-editor").boundingBox();
  const output = await page.getByRole("log").boundingBox();
  assert.ok(editor.x + editor.width <= output.x, `${editor.x + editor.width} ${output.x}`);
  await page.getByText("Escape, then Tab, leaves the editor", { exact: false }).waitFor();
  await page.locator(".cm-content").focus();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "go");
  assert.equal(await page.getByRole("log").getAttribute("aria-live"), "off");
  await close();
});

test("x1: a program is saved by name, opened again and deleted, and what ran can be had back", async () => {
  const { page, close } = await open();
  await write(page, ["print('saved')"]);
  await page.getByLabel("Name").fill("one");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("one.py is saved.").waitFor();
  await write(page, ["print('other')"]);
  await run(page);
  await page.getByText(/^Ended with exit status 0/).waitFor();
  await page.getByText("Saved programs").click();
  await page.getByRole("button", { name: /^one\.py/ }).click();
  await page.locator(".cm-content").getByText("saved").waitFor();
  await page.getByText("Programs that ran before").click();
  await page.getByRole("button", { name: /exit status 0/ }).first().click();
  await page.locator(".cm-content").getByText("other").waitFor();
  await page.getByRole("button", { name: "Delete one.py" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Delete one.py" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("None is saved.").waitFor();
  await close();
});

test("x1: neither what is typed nor the program of another goes without a question", async () => {
  const { page, close } = await open();
  const save = async () => {
    await page.getByLabel("Name").fill("one.py");
    await page.getByRole("button", { name: "Save" }).click();
  };
  await write(page, ["print('mine')"]);
  await save();
  await page.getByText("one.py is saved.").waitFor();
  // It is our own to change.
  await write(page, ["print('mine, too')"]);
  await save();
  await page.getByText("one.py is saved.").waitFor();

  const other = await board.open("/.number8/board");
  await other.page.locator(".cm-content").waitFor();
  await write(other.page, ["print('theirs')"]);
  await other.page.getByLabel("Name").fill("one.py");
  await other.page.getByRole("button", { name: "Save" }).click();
  const dialog = other.page.getByRole("dialog");
  await dialog.getByText("There is one.py already.").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await other.page.getByText("Saved programs").click();
  await other.page.getByRole("button", { name: /^one\.py/ }).click();
  await dialog.getByText("What you have typed is not saved.").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await other.page.locator(".cm-content").textContent(), "print('theirs')");
  await other.page.getByRole("button", { name: /^one\.py/ }).click();
  await dialog.getByRole("button", { name: "Throw it away" }).click();
  await other.page.locator(".cm-content").getByText("print('mine, too')").waitFor();
  await other.close();
  await close();
});

test("issue 4: what a program sends as an event shows on the page", async () => {
  const { page, close } = await open();
  await page.getByText("Events", { exact: true }).click();
  await page.getByText(/Nothing was sent/).waitFor();
  const headers = { Authorization: `Basic ${btoa("admin:pw")}` };
  // The page may not listen yet.
  let shown = false;
  while (!shown) {
    await fetch(board.server.url + ".number8/events", { method: "POST", headers, body: "the <b>kettle</b> boils" });
    shown = await page.getByText("the <b>kettle</b> boils").first().waitFor({ timeout: 500 }).then(() => true, () => false);
  }
  await close();
});

test("issue 4: all pages weigh little, come quickly and ask no other host", async () => {
  const opened = await openPage(board.browser, DESK);
  const { page } = opened;
  const weights = new Map();
  const hosts = new Set();
  page.on("response", async (response) => {
    hosts.add(new URL(response.url()).host);
    const sizes = await response.request().sizes().catch(() => undefined);
    if (sizes) weights.set(new URL(response.url()).pathname, sizes.responseBodySize);
  });
  await logIn(page, board.server.url, "/.number8/board");
  await page.locator(".cm-content").waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  assert.ok(paint < FIRST_PAINT_MS_MAX, `first paint after ${paint} ms`);
  for (const path of ["files", "terminal"]) {
    await page.goto(board.server.url + ".number8/" + path);
    await page.waitForLoadState("load");
  }
  const weight = [...weights.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(weights.size > 8 && weight < WEIGHT_MAX, `${weight} bytes in ${weights.size} answers`);
  assert.deepEqual([...hosts], [new URL(board.server.url).host]);
  await opened.close();
});

for (const [name, options] of Object.entries({ DESK, PHONE, DARK })) {
  test(`wish 33: the board can be read and touched (${name})`, async () => {
    const { page, close } = await open(options);
    await write(page, ["import time", "print('out')", "import sys", "print('err', file=sys.stderr)", "time.sleep(600)"]);
    await run(page);
    await page.getByRole("log").getByText("err", { exact: true }).waitFor();
    for (const summary of await page.locator(".list summary").all()) await summary.click();
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText(/^Stopped after/).waitFor();
    await close();
  });
}
