// A folder with very many entries: the page answers while they come, and all of them are there.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { holdBack, withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";

const COUNT = 10_000;
/** Before, the browser was kept busy for three times as long by the layout alone; a machine with much else to do is slower. */
const TASK_MS_MAX = 1000;

const names = Array.from({ length: COUNT }, (_, at) => `file-${at}.txt`);
const board = withBoard(Object.fromEntries(names.map((name) => [name, ""])), () => ["--run", "off", "--repl=off"]);

// By selectors: to look for a name among all roles of so many rows takes seconds.
const link = (page, name) => page.locator(`td.name a[href$="/${name}"]`);
const tick = (page, name) => page.locator(`input[value="${name}"]`);
const all = (page) => page.waitForFunction((count) => document.querySelectorAll(".files tbody tr").length === count, COUNT);

test("f16: the first of ten thousand entries are there before the rest, and the page answers meanwhile", async () => {
  const { page, close } = await board.open("/.number8/board");
  await page.addInitScript(() => {
    globalThis.tasks = [];
    const observer = new PerformanceObserver((list) => globalThis.tasks.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: "longtask", buffered: true });
  });
  await all(page);
  const { asked } = await holdBack(page, /\?json&page=2/);
  await page.reload();
  const held = await asked;
  await link(page, "file-0.txt").waitFor();
  assert.ok(await page.locator("th.tick input").isDisabled());
  await held.continue();
  await all(page);
  assert.equal(await page.locator(".files table").getAttribute("aria-rowcount"), String(COUNT + 1));
  const order = await page.evaluate(() => [...document.querySelectorAll("td.name a")].map((link) => link.textContent));
  assert.deepEqual(order, names);
  // What is to be done with all of them keeps the page no longer.
  await page.locator("th.tick input").check();
  await page.getByText(`Delete ${COUNT}`).waitFor();
  await tick(page, "file-9999.txt").uncheck();
  await page.getByText(`Delete ${COUNT - 1}`).waitFor();
  await link(page, "file-9998.txt").click();
  await page.locator(".cm-content").waitFor();
  await page.goBack();
  await page.waitForFunction(() => document.activeElement.textContent === "file-9998.txt");
  const box = await link(page, "file-9998.txt").boundingBox();
  assert.ok(box.y >= 0 && box.y < 800, `it is seen: ${box.y}`);
  const tasks = await page.evaluate(() => globalThis.tasks);
  assert.ok(Math.max(0, ...tasks) < TASK_MS_MAX, `${tasks}`);
  await close();
});

test("f16: what somebody adds among ten thousand entries has its place, and keeps the focus where it was", async () => {
  const { page, close } = await board.open("/.number8/board");
  await all(page);
  await link(page, "file-5000.txt").focus();
  await writeFile(join(board.folder, "file-4999a.txt"), "");
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await link(page, "file-4999a.txt").waitFor();
  const around = await page.evaluate(() => {
    const links = [...document.querySelectorAll("td.name a")].map((link) => link.textContent);
    const at = links.indexOf("file-4999a.txt");
    return [...links.slice(at - 1, at + 2), document.activeElement.textContent];
  });
  assert.deepEqual(around, ["file-4999.txt", "file-4999a.txt", "file-5000.txt", "file-5000.txt"]);
  // The next is reached by the keyboard, however far away it was.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "file-5001.txt");
  await close();
});
