// The example site as a visitor meets it.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

const SITE = fileURLToPath(new URL("../../examples/site", import.meta.url));

let browser, server;

before(async () => {
  server = await serve(SITE);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("b18 h7: the start page comes with its style, script and pictures", async () => {
  const { page, troubles, close } = await openPage(browser);
  await page.goto(server.url);
  await page.waitForLoadState("networkidle");

  assert.equal(await page.title(), "Number 8 wire");
  const widths = await page.locator("img").evaluateAll((images) => images.map((image) => image.naturalWidth));
  assert.deepEqual(widths, [960, 240]);
  assert.equal(await page.locator("nav").evaluate((nav) => getComputedStyle(nav).display), "flex");
  await page.getByLabel("Length in metres").fill("200");
  assert.match(await page.locator("#answer").textContent(), /1400 m of wire: 143 kg/);
  assert.deepEqual(troubles, []);
  await close();
});

test("b5: the links lead into the sub-folder, through it and back", async () => {
  const { page, troubles, close } = await openPage(browser);
  const follow = async (name, path, heading) => {
    await page.getByRole("link", { name }).first().click();
    await page.waitForURL(new URL(path, server.url).href);
    assert.equal(await page.locator("h1").textContent(), heading);
  };
  await page.goto(server.url);
  await follow("On the farm", "farm/", "On the farm");
  await follow("A latch for a gate", "farm/latch.html", "A latch for a gate");
  await follow("joining two ends", "farm/joins.html", "Joining two ends");
  await follow("Wire", "", "Number 8 wire");
  assert.deepEqual(troubles, []);
  await close();
});

test("h8: a folder without its slash leads to the folder and keeps the query", async () => {
  const { page, troubles, close } = await openPage(browser);
  await page.goto(new URL("farm?from=sign", server.url).href);
  assert.equal(page.url(), new URL("farm/?from=sign", server.url).href);
  assert.equal(await page.locator("h1").textContent(), "On the farm");
  assert.deepEqual(troubles, []);
  await close();
});

test("h9: a missing page is a 404 that a person can read", async () => {
  const { page, close } = await openPage(browser);
  const response = await page.goto(new URL("farm/tractor.html", server.url).href);
  assert.equal(response.status(), 404);
  assert.match(await page.locator("body").innerText(), /not found/i);
  await close();
});

test("the page works without JavaScript", async () => {
  const { page, troubles, close } = await openPage(browser, { javaScriptEnabled: false });
  await page.goto(server.url);
  assert.match(await page.locator("#answer").textContent(), /700 m of wire: 71 kg/);
  assert.equal(await page.locator("#fence").isVisible(), false);
  assert.deepEqual(troubles, []);
  await close();
});
