// The page with the terminal: typed into, watched by others, found again as it was.

import assert from "node:assert/strict";
import { withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";
import { DARK, DESK, PHONE, assertFitsThumbs, assertReadable } from "./look.mjs";

const board = withBoard();

async function open(look) {
  const opened = await board.open("/.number8/terminal", look);
  await shows(opened.page, /You type/, "#status");
  await shows(opened.page, />>>/);
  return opened;
}

/** Waits until the terminal, or another place, shows this. */
function shows(page, text, place = ".xterm-rows") {
  return page.waitForFunction(
    ([place, source]) => new RegExp(source).test(document.querySelector(place)?.textContent ?? ""),
    [place, text.source],
  );
}

test("x6 u32: what is typed runs, and is there again when the page comes back", async () => {
  const { page, troubles, close } = await open();
  await page.keyboard.type("x = 6 * 7\nx\n");
  await shows(page, /42/);
  await page.reload();
  await shows(page, /42/);
  await shows(page, /You type/, "#status");
  await page.keyboard.type("x + 1\n");
  await shows(page, /43/);
  // The keyboard gets out, too.
  await page.keyboard.press("Shift+Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "restart");
  assert.deepEqual(troubles.filter((trouble) => !/^failed/.test(trouble)), []);
  await close();
});

test("x6: what comes without a key is typed, too: from a palette of characters, by voice", async () => {
  const { page, close } = await open();
  await page.keyboard.type("len('");
  await page.keyboard.insertText("日本😀");
  await page.keyboard.type("é') * 9\n");
  await shows(page, /\* 9\s*36\s*>>>/);
  await close();
});

test("x7: others watch, and take over when asked", async () => {
  const first = await open();
  const second = await open();
  await shows(first.page, /Somebody else types, one other looks on/, "#status");
  await second.page.keyboard.type("'sha' + 'red'\n");
  await shows(first.page, /shared/);
  await first.page.getByRole("button", { name: "Type here" }).click();
  await shows(first.page, /You type/, "#status");
  await shows(second.page, /Somebody else types/, "#status");
  await first.close();
  await second.close();
});

/** How many columns and rows the page shows. */
async function size(page) {
  const size = /columns=(\d+), lines=(\d+)/;
  await page.keyboard.type("import os; os.get_terminal_size()\n");
  await shows(page, /columns=\d+, lines=\d+/);
  const [, columns, rows] = (await page.textContent(".xterm-rows")).match(size);
  await page.keyboard.press("Control+L");
  return [Number(columns), Number(rows)];
}

test("x7: who types again has the size of the own window again, and who watches that of the other", async () => {
  const desk = await open();
  const [columns, rows] = await size(desk.page);
  const phone = await open(PHONE);
  await shows(desk.page, /Somebody else types/, "#status");
  const width = ".xterm-screen";
  const narrow = await phone.page.locator(width).evaluate((screen) => screen.clientWidth);
  await desk.page.setViewportSize({ width: DESK.viewport.width - 100, height: DESK.viewport.height });
  await desk.page.setViewportSize(DESK.viewport);
  assert.equal(await desk.page.locator(width).evaluate((screen) => screen.clientWidth), narrow);
  await phone.close();
  await shows(desk.page, /You type/, "#status");
  assert.deepEqual(await size(desk.page), [columns, rows]);
  await desk.close();
});

test("x8: what a program asked the terminal before is not answered again", async () => {
  const { page, close } = await open();
  const sent = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(payload.toString())));
  await page.keyboard.type("for n in range(20000): print(n, 'x' * 8)\n\nprint('\\x1b[c' + 'ask' + 'ed')\n");
  await shows(page, /asked/);
  // The answer is typed.
  await page.keyboard.press("Control+C");
  await page.reload();
  await shows(page, /asked/);
  await shows(page, /You type/, "#status");
  await page.keyboard.type("'sec' + 'ond'\n");
  await shows(page, /second/);
  assert.deepEqual(sent.filter((text) => text.includes("\x1b")), []);
  await close();
});

test("x8: the end is shown, however much was written, and more can be pasted than a message holds", async () => {
  const { page, close } = await open();
  await page.keyboard.type("for _ in range(1000): print('a line of text, as long as many are, ' * 1500)\n\n'the' + 'end'\n");
  await shows(page, /theend/);

  await page.keyboard.type("import os; os.system('stty -echo; echo READY; wc -c; stty echo')\n");
  await shows(page, /READY\s*$/);
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData("text/plain", `${"x".repeat(999)}\n`.repeat(1_200));
    const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    document.querySelector(".xterm-helper-textarea").dispatchEvent(paste);
  });
  await page.keyboard.press("Control+D");
  await shows(page, /1200000/);
  await close();
});

test("x8 wish 36: a phone has the keys that it lacks", async () => {
  const { page, close } = await open(PHONE);
  await page.keyboard.type("import time; time.sleep(600)\n");
  await page.getByRole("button", { name: "Ctrl-C" }).tap();
  await shows(page, /KeyboardInterrupt/);
  await page.keyboard.type("40 + 1\n");
  await shows(page, /41/);
  await page.getByRole("button", { name: "Up", exact: true }).tap();
  await page.keyboard.type(" + 1\n");
  await shows(page, /42/);
  // Ctrl, then a letter.
  await page.keyboard.type("abc");
  await page.getByRole("button", { name: "Ctrl", exact: true }).tap();
  assert.equal(await page.getByRole("button", { name: "Ctrl", exact: true }).getAttribute("aria-pressed"), "true");
  await page.keyboard.type("c");
  await page.keyboard.type("50 + 1\n");
  await shows(page, /51/);
  await close();
});

test("x6: without scripts the page says so, and offers nothing that does nothing", async () => {
  const { page, close } = await board.open("/.number8/terminal", { ...DESK, javaScriptEnabled: false });
  await page.getByRole("heading", { name: "Terminal" }).waitFor();
  assert.match(await page.locator("main").innerText(), /A terminal in a page takes a script/);
  assert.deepEqual(await page.getByRole("button").allTextContents(), ["Log out"]);
  await close();
});

test("x6: a restart begins anew", async () => {
  const { page, close } = await open();
  await page.keyboard.type("kept = 1\n");
  await shows(page, /kept = 1/);
  await page.getByRole("button", { name: "Restart" }).click();
  // What is typed before the new one greets may still be for the old one.
  await shows(page, /MicroPython [^]*MicroPython [^]*>>> /);
  await page.keyboard.type("'kept' in dir()\n");
  await shows(page, /False/);
  await close();
});

for (const [name, options] of Object.entries({ DESK, PHONE, DARK })) {
  test(`wish 33: the terminal can be read and touched (${name})`, async () => {
    const { page, close } = await open(options);
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    await close();
  });
}
