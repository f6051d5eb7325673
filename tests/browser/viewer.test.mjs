// A file that is opened from the page with the files: where Back, Forward and the address lead.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";
import { logIn } from "./look.mjs";
import { serveAgain } from "./number8.mjs";

const latin = Buffer.from([0x47, 0x72, 0xfc, 0xdf, 0x65]);
const board = withBoard({ "hello.txt": "hello\n", "sub/a.txt": "a", "sub/b.txt": "b", "latin.txt": latin });

/** The folder `sub`, come to from the first. */
async function openSub() {
  const opened = await board.open("/.number8/files");
  await opened.page.getByRole("link", { name: "sub/" }).click();
  await opened.page.getByRole("link", { name: "a.txt" }).waitFor();
  return opened;
}

const isIn = (page, name) => page.getByRole("heading", { name, level: 1, exact: true }).waitFor();
const isAt = (page, hash) => page.waitForFunction((hash) => location.hash === hash, hash);
const edit = async (page, text) => {
  await page.locator(".cm-content").focus();
  await page.keyboard.type(text);
};
const stored = (name) => readFile(join(board.folder, name), "utf8");

test("f16: Back closes a file, Forward opens it again, and Close leaves nothing behind", async () => {
  const { page, close } = await openSub();
  await page.getByRole("link", { name: "a.txt" }).click();
  await page.locator(".cm-content").waitFor();
  assert.ok(page.url().endsWith("#/sub/a.txt"));
  assert.equal(await page.title(), "a.txt – Files – number8");
  await page.goBack();
  await isIn(page, "sub");
  assert.ok(page.url().endsWith("#/sub/"));
  assert.equal(await page.title(), "sub – Files – number8");
  await page.waitForFunction(() => document.activeElement.textContent === "a.txt");
  await page.goForward();
  await page.locator(".cm-content").waitFor();
  await page.reload();
  await page.locator(".cm-content").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await isIn(page, "sub");
  await isAt(page, "#/sub/");
  await page.goBack();
  await isIn(page, "Home");
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await close();
});

test("f16: Back from what is typed asks once, and who says no stays where they were", async () => {
  const { page, close } = await openSub();
  await page.getByRole("link", { name: "a.txt" }).click();
  await edit(page, "typed ");
  const dialog = page.getByRole("dialog");
  const answer = (name) => dialog.getByRole("button", { name }).click();
  for (const leave of [() => page.goBack(), () => page.getByRole("button", { name: "Close" }).click()]) {
    await leave();
    await answer("Cancel");
    await isAt(page, "#/sub/a.txt");
    assert.match(await page.locator(".cm-content").textContent(), /typed/);
  }
  // To another folder, by the address: the way there is kept, and so is the way back.
  await page.evaluate(() => (location.hash = "#/"));
  await answer("Cancel");
  await isAt(page, "#/sub/a.txt");
  await page.goForward();
  await answer("Throw it away");
  await isIn(page, "Home");
  assert.equal(await dialog.count(), 0);
  await page.goBack();
  await page.locator(".cm-content").waitFor();
  assert.doesNotMatch(await page.locator(".cm-content").textContent(), /typed/);
  await edit(page, "more");
  await page.goBack();
  await answer("Throw it away");
  await isIn(page, "sub");
  assert.equal(await dialog.count(), 0);
  assert.equal(await stored("sub/a.txt"), "a");
  await close();
});

test("f16: while there is a question, Back once more asks no second one", async () => {
  const { page, close } = await openSub();
  await page.getByRole("link", { name: "a.txt" }).click();
  await edit(page, "typed ");
  await page.goBack();
  await page.getByRole("dialog").waitFor();
  await page.evaluate(() => history.back());
  await isAt(page, "");
  assert.equal(await page.getByRole("dialog").count(), 1);
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await isAt(page, "#/sub/a.txt");
  assert.match(await page.locator(".cm-content").textContent(), /typed/);
  await page.goBack();
  await page.getByRole("dialog").getByRole("button", { name: "Throw it away" }).click();
  await isIn(page, "sub");
  await close();
});

test("f16: the address of a file leads to it, that of none to its folder", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.goto(`${board.server.url}.number8/files#/sub/b.txt`);
  await page.locator(".cm-content").waitFor();
  assert.equal(await page.locator(".cm-content").textContent(), "b");
  await page.getByRole("button", { name: "Close" }).click();
  await isIn(page, "sub");
  await isAt(page, "#/sub/");
  await page.evaluate(() => (location.hash = "#/sub/gone.txt"));
  await page.getByText("gone.txt: there is nothing of that name").waitFor();
  await isAt(page, "#/sub/");
  await isIn(page, "sub");
  await close();
});

test("f16: a text that is not UTF-8 opens alone, and Back leads to the folder", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "latin.txt" }).click();
  await page.waitForURL(`${board.server.url}latin.txt`);
  await page.goBack();
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await isIn(page, "Home");
  await close();
});

test("f16: Ctrl-S saves a text, the page tells how Tab leaves it, and a file can be had", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "hello.txt" }).click();
  await edit(page, "typed ");
  await page.keyboard.press("Control+s");
  await page.getByText("hello.txt is saved.").waitFor();
  assert.equal(await stored("hello.txt"), "typed hello\n");
  await page.getByText("Escape, then Tab, leaves the editor").waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  assert.equal((await download).suggestedFilename(), "hello.txt");
  await close();
});

test("f16: whose login has ended keeps what is typed, logs in on another page and saves it", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "hello.txt" }).click();
  await edit(page, "typed ");
  await board.server.stop();
  board.server = await serveAgain(board.server.url, board.folder, "--board", "--auth", "admin:pw@/:all");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("hello.txt is not saved: You are not logged in any more. Log in on another page").waitFor();
  const other = await page.context().newPage();
  await logIn(other, board.server.url, "/.number8/files");
  await other.getByRole("link", { name: "hello.txt" }).waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("hello.txt is saved.").waitFor();
  assert.equal(await stored("hello.txt"), "typed hello\n");
  await close();
});
