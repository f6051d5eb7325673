// The audio box as the people of a house use it: two pages open, songs come and go.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, runExample } from "./number8.mjs";

let box, browser, folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "number8-box-"));
  box = await runExample("audio-box", folder, "0");
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await box?.stop();
  await rm(folder, { recursive: true });
});

/** Two seconds of a hum: 8-bit mono samples behind the head of a WAV file. */
function wav() {
  const rate = 8000;
  const samples = Buffer.from(Array.from({ length: 2 * rate }, (_, n) => 128 + Math.round(60 * Math.sin(n / 6))));
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

/** A page of the box that hears of changes. */
async function open(options) {
  const opened = await openPage(browser, options);
  opened.page.setDefaultTimeout(5000);
  await opened.page.goto(box.url);
  await opened.page.getByText("Live", { exact: true }).waitFor();
  return opened;
}


const song = (page, name) => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });

async function upload(page, name, mimeType = "audio/wav") {
  await page.getByLabel("Add songs").setInputFiles({ name, mimeType, buffer: wav() });
  await page.getByRole("button", { name: "Upload" }).click();
}

test("n13: a song is uploaded, shown everywhere, played, renamed, bound, found and deleted", async () => {
  const one = await open();
  const other = await open();
  const { page } = one;

  await upload(page, "Bow-wow.wav");
  await page.getByText("Bow-wow.wav has arrived.").waitFor();
  await song(other.page, "Bow-wow.wav").waitFor();

  const ranged = page.waitForResponse((response) => response.url().endsWith("/songs/Bow-wow.wav") && response.status() === 206);
  const at = await song(page, "Bow-wow.wav").locator("audio").evaluate(async (audio) => {
    audio.muted = true;
    await audio.play();
    await new Promise((resolve) => audio.addEventListener("timeupdate", () => audio.currentTime > 0 && resolve()));
    return audio.currentTime;
  });
  assert.ok(at > 0);
  assert.match((await ranged).headers()["content-range"], /^bytes 0-16043\/16044$/);

  await song(page, "Bow-wow.wav").getByRole("button", { name: /^Rename/ }).click();
  await page.getByLabel("New name").fill("Grüße & Baa.wav");
  await page.getByLabel("New name").press("Enter");
  await song(other.page, "Grüße & Baa.wav").waitFor();
  await song(other.page, "Bow-wow.wav").waitFor({ state: "detached" });

  await song(page, "Grüße & Baa.wav").getByRole("button", { name: /^Bind/ }).click();
  await page.getByRole("textbox", { name: "Token", exact: true }).fill("04:A2:1F");
  await page.getByRole("dialog").getByRole("button", { name: "Bind" }).click();
  await song(other.page, "Grüße & Baa.wav").getByText("04:A2:1F").waitFor();
  assert.deepEqual(JSON.parse(await readFile(join(folder, "tokens.json"))), { "04:A2:1F": "Grüße & Baa.wav" });

  await other.page.getByLabel("Find by token").fill("04:A2:1F");
  await other.page.getByRole("button", { name: "Find" }).click();
  await other.page.getByText("Token 04:A2:1F plays Grüße & Baa.wav.").waitFor();
  const asked = await page.request.get(new URL("/api/tokens/04:A2:1F", box.url).href);
  assert.deepEqual([asked.status(), await asked.body()], [200, wav()]);

  await song(page, "Grüße & Baa.wav").getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await other.page.getByText("No songs yet.").waitFor();
  assert.deepEqual(await readdir(join(folder, "songs")), []);
  assert.deepEqual(JSON.parse(await readFile(join(folder, "tokens.json"))), {});
  for (const { troubles, close } of [one, other]) {
    assert.deepEqual(troubles, []);
    await close();
  }
});

test("security: what is no song is refused, and the page says why", async () => {
  const { page, close } = await open();
  await upload(page, "page.html", "text/html");
  await page.getByText("This box takes songs only, by the ending of their name.").waitFor();
  assert.deepEqual(await readdir(join(folder, "songs")), []);
  await close();
});

test("n13: a phone shows the box without scrolling sideways", async () => {
  const { page, close } = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await upload(page, `${"a-long-name-".repeat(8)}.wav`);
  await song(page, `${"a-long-name-".repeat(8)}.wav`).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await close();
});
