// Files that are sent from the page with the files: what becomes of them, and of those that have their names already.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe } from "node:test";
import { holdBack, meet, withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";

const file = (name, content) => ({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
const add = (page, ...files) => page.locator("input[type=file]").first().setInputFiles(files);
const line = (page, name) => page.locator(".sending li").filter({ hasText: name });

/** The page with the files, and what somebody else sends meanwhile. */
async function open(board) {
  const opened = await board.open("/.number8/files");
  await opened.page.getByRole("link", { name: "hello.txt" }).waitFor();
  const sendAsAnother = async (name, body) => {
    const headers = { Authorization: `Basic ${btoa("admin:pw")}` };
    const answer = await fetch(board.server.url + name, { method: "PUT", headers, body });
    assert.equal(answer.status, 201);
  };
  return { ...opened, sendAsAnother };
}

describe("where files of the same name are replaced", () => {
  const board = withBoard({ "hello.txt": "hello\n" });
  const stored = (name) => readFile(join(board.folder, name), "utf8");

  test("f16: of two who add a file of one new name, the later is asked", async () => {
    const { page, sendAsAnother, close } = await open(board);
    const { asked } = await holdBack(page, "**/new.txt");
    await add(page, file("new.txt", "ours"));
    const held = await asked;
    await sendAsAnother("new.txt", "theirs");
    await held.continue();
    await line(page, "new.txt").getByText("There is one of that name by now.").waitFor();
    await page.getByText("0 files are there, 1 failed.").waitFor();
    assert.equal(await stored("new.txt"), "theirs");
    await line(page, "new.txt").getByRole("button", { name: "Replace: new.txt" }).click();
    await page.getByText("1 file is there.").waitFor();
    assert.equal(await stored("new.txt"), "ours");
    assert.equal(await line(page, "new.txt").count(), 0);
    await close();
  });

  test("f16: what could not be sent is tried again", async () => {
    const { page, close } = await open(board);
    await meet(page, "**/new.txt", (route) => route.abort("connectionreset"), { times: 1 });
    await add(page, file("new.txt", "ours"));
    await line(page, "new.txt").getByRole("button", { name: "Try again: new.txt" }).click();
    await page.getByText("1 file is there.").waitFor();
    assert.equal(await stored("new.txt"), "ours");
    await close();
  });

  test("f16: of many files those that wait are counted, and all are cancelled at once", async () => {
    const { page, close } = await open(board);
    await meet(page, "**/many-*.txt", () => {});
    await add(page, ...Array.from({ length: 40 }, (_, at) => file(`many-${at}.txt`, "")));
    await page.getByText("37 more wait").waitFor();
    await line(page, "many-0.txt").getByRole("button", { name: "Cancel: many-0.txt" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("36 more wait").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Dismiss: many-0.txt");
    await page.getByRole("button", { name: "Cancel all" }).click();
    await page.getByText("0 files are there, 40 cancelled.").waitFor();
    assert.deepEqual(await readdir(board.folder), ["hello.txt"]);
    await close();
  });

  test("f16: who leaves while files are being sent is asked first", async () => {
    const { page, troubles, close } = await open(board);
    const { asked } = await holdBack(page, "**/new.txt");
    await add(page, file("new.txt", "ours"));
    const held = await asked;
    const dialog = page.waitForEvent("dialog");
    await page.getByRole("link", { name: "Program" }).click();
    assert.equal((await dialog).type(), "beforeunload");
    await held.continue();
    await page.getByText("1 file is there.").waitFor();
    await page.getByRole("link", { name: "Program" }).click();
    await page.getByRole("heading", { name: "Program", exact: true }).waitFor();
    assert.equal(troubles.filter((trouble) => trouble.startsWith("dialog")).length, 1);
    await close();
  });
});

describe("where both stay", () => {
  const board = withBoard({ "hello.txt": "hello\n" }, () => ["--overwrite", "rename"]);

  test("f16: a file that is there is no question, and the new one gets another name", async () => {
    const { page, close } = await open(board);
    await add(page, file("hello.txt", "another"));
    await page.getByText("1 file is there.").waitFor();
    await page.getByRole("link", { name: "hello (2).txt" }).waitFor();
    assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "hello\n");
    await close();
  });
});

describe("where what is there stays", () => {
  const board = withBoard({ "hello.txt": "hello\n" }, () => ["--overwrite", "error"]);

  test("f16: a file that is there is no question, and the new one is refused", async () => {
    const { page, close } = await open(board);
    await add(page, file("hello.txt", "another"));
    await page.getByText("0 files are there, 1 failed.").waitFor();
    await line(page, "hello.txt").getByRole("button", { name: "Dismiss: hello.txt" }).click();
    assert.equal(await line(page, "hello.txt").count(), 0);
    assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "hello\n");
    await close();
  });
});
