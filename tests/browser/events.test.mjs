// Events as pages meet them: EventSource listens, fetch sends.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

const SITE = fileURLToPath(new URL("../../examples/site", import.meta.url));

let browser, server;

before(async () => {
  server = await serve(SITE, "--events", "/events", "--allow", "ro,events");
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens a page that notes every event of two kinds. */
async function listener() {
  const opened = await openPage(browser);
  await opened.page.goto(server.url);
  await opened.page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        window.heard = [];
        window.source = new EventSource("/events");
        const note = ({ type, data, lastEventId }) => window.heard.push({ type, data, lastEventId });
        window.source.onmessage = note;
        window.source.addEventListener("call", note);
        window.source.onopen = resolve;
        window.source.onerror = reject;
      }),
  );
  return opened;
}

/** Waits for so many events; their types and data. */
async function heard(page, count) {
  await page.waitForFunction((count) => window.heard.length >= count, count);
  return page.evaluate(() => window.heard.map(({ type, data }) => [type, data]));
}

const send = (page, query, data) =>
  page.evaluate(
    async ([query, data]) => (await fetch(`/events${query}`, { method: "POST", body: data })).text(),
    [query, data],
  );

test("u29 u30 x12: what one page sends, every page hears", async () => {
  const [one, two] = [await listener(), await listener()];
  assert.equal(await send(one.page, "", "first line\nsecond line"), "2\n");
  assert.equal(await send(two.page, "?event=call&id=7", "dinner ☕"), "2\n");
  for (const { page, troubles } of [one, two]) {
    assert.deepEqual(await heard(page, 2), [
      ["message", "first line\nsecond line"],
      ["call", "dinner ☕"],
    ]);
    assert.equal(await page.evaluate(() => window.heard[1].lastEventId), "7");
    assert.deepEqual(troubles, []);
  }
  await one.close();
  await two.close();
});

test("x11: a page that comes back gets what it missed", async () => {
  const { page, close } = await listener();
  await send(page, "?id=seen", "seen");
  await heard(page, 1);
  await page.evaluate(() => window.source.close());
  await send(page, "", "missed");
  const missed = await page.evaluate(
    () =>
      new Promise((resolve) => {
        new EventSource("/events?last-event-id=seen").onmessage = (event) => resolve(event.data);
      }),
  );
  assert.equal(missed, "missed");
  await close();
});
