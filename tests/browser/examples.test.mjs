// The pages of the library's examples, in two windows where two people meet.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, runExample } from "./number8.mjs";

const SECONDS = 1000;

let browser;

before(async () => {
  browser = await openBrowser();
});

after(() => browser?.close());

/** Runs an example while `use` does. */
async function running(name, args, use) {
  const server = await runExample(`examples/${name}`, ...args);
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

async function open(server) {
  const opened = await openPage(browser);
  opened.page.setDefaultTimeout(20 * SECONDS);
  await opened.page.goto(server.url);
  return opened;
}

test("f9: a form with files is sent by a page", async () => {
  const folder = await mkdtemp(join(tmpdir(), "number8-letters-"));
  await running("multipart", [folder, "0"], async (server) => {
    const { page, troubles, close } = await open(server);
    await page.getByLabel("From").fill("Ada ☕");
    const files = [
      { name: "a picture.png", mimeType: "image/png", buffer: Buffer.alloc(300_000, 8) },
      { name: "é.txt", mimeType: "text/plain", buffer: Buffer.from("\r\n--boundary\r\n") },
    ];
    await page.getByLabel("Enclosed").setInputFiles(files);
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("Ada ☕ sent a picture.png (300000 bytes) and é.txt (14 bytes)").waitFor();
    assert.deepEqual((await readdir(folder)).sort(), files.map(({ name }) => name));
    for (const { name, buffer } of files) assert.deepEqual(await readFile(join(folder, name)), buffer);
    assert.deepEqual(troubles, []);
    await close();
  });
  await rm(folder, { recursive: true });
});

test("u29: a bell that is rung in one window is heard in both", async () => {
  await running("events", ["0"], async (server) => {
    const windows = [await open(server), await open(server)];
    // A page listens a moment after it was loaded: the bell rings until both have heard it.
    const ring = () => windows[0].page.getByRole("button", { name: "Ring" }).click();
    for (const { page } of windows) {
      await ring();
      while ((await page.getByRole("listitem").count()) === 0) await Promise.all([ring(), page.waitForTimeout(50)]);
      assert.equal(await page.getByRole("listitem").first().textContent(), "ding");
    }
    for (const { troubles, close } of windows) {
      assert.deepEqual(troubles, []);
      await close();
    }
  });
});

test("x12: what is said in one window of the chat is shown in both", async () => {
  await running("chat", ["0"], async (server) => {
    const windows = [await open(server), await open(server)];
    for (const { page } of windows) await page.waitForFunction(() => socket.readyState === WebSocket.OPEN);
    const said = ["<b>Hello</b> ☕", "and hello to you"];
    for (const [index, words] of said.entries()) {
      const { page } = windows[index];
      await page.getByLabel("Say").fill(words);
      await page.getByRole("button", { name: "Send" }).click();
      await Promise.all(windows.map(({ page }) => page.getByText(words, { exact: true }).waitFor()));
    }
    for (const { page, troubles, close } of windows) {
      assert.deepEqual(await page.getByRole("listitem").allTextContents(), said);
      assert.deepEqual(troubles, []);
      await close();
    }
  });
});
