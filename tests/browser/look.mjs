// What every page owes to those who look at it: words that a screen reader can read, room for a thumb, no sideways scrolling.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
export const DESK = { viewport: { width: 1280, height: 800 } };
export const DARK = { ...DESK, colorScheme: "dark" };

/** Nothing serious that axe-core finds. */
export async function assertReadable(page) {
  // The page's own policy lets nothing in that is not its own; a debugger may.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await globalThis.axe.run()).violations);
  const serious = found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(serious, [], page.url());
}

/** On a phone nothing is wider than the screen, and what can be touched is at least 44 pixels high and wide. */
export async function assertFitsThumbs(page) {
  const [width, small] = await page.evaluate(() => {
    const touched = document.querySelectorAll("a[href], button, input, select, summary, textarea");
    const small = [...touched]
      // A tick box is touched by its label, a link in text by its line.
      .map((element) => (element.matches("[type=checkbox]") ? element.closest("label") : element))
      .filter((element) => element && !element.closest(".xterm, .cm-editor, .output") && element.checkVisibility())
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && (box.width < 43.5 || box.height < 43.5))
      .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} ${Math.round(box.width)}x${Math.round(box.height)}`);
    return [document.documentElement.scrollWidth, small];
  });
  assert.ok(width <= 390, `${page.url()} is ${width} pixels wide`);
  assert.deepEqual(small, [], page.url());
}

/** Logs in and comes to a page. */
export async function logIn(page, url, to, password = "pw", name = "admin") {
  await page.goto(`${url}.number8/login?to=${encodeURIComponent(to)}`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}
