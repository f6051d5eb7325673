// The list of the page with the files: names of every kind, its order, what it says, and what it hears.

import assert from "node:assert/strict";
import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";
import { PHONE, assertFitsThumbs, assertReadable } from "./look.mjs";
import { serveAgain } from "./number8.mjs";

const board = withBoard({ "hello.txt": "hello\n" }, () => ["--allow", "all"]);
const put = (name, content = "") => writeFile(join(board.folder, name), content);

test("f16: no name turns the writing direction of what stands beside it", async () => {
  const turned = "x\u202egpj.exe";
  const leftward = "שלום";
  await put(turned);
  await put(`${leftward}.txt`);
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: `${leftward}.txt` }).waitFor();
  assert.equal(await page.locator("td.name bdi").count(), 3);
  const dialog = page.getByRole("dialog");
  await page.locator(`input[value="x%E2%80%AEgpj.exe"]`).check();
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog.getByText("Delete x\ufffdgpj.exe for good?").waitFor();
  assert.ok(!(await page.content()).includes("\u202e"));
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("x\ufffdgpj.exe is deleted.").waitFor();
  // A sentence goes on after the name as it began.
  await page.getByLabel(leftward).check();
  await page.getByRole("button", { name: "Delete" }).click();
  assert.equal(await dialog.locator("p").textContent(), `Delete \u2068${leftward}.txt\u2069 for good?`);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await close();
});

test("f16: the list is sorted by a column, one way and the other", async () => {
  await put("big.txt", "x".repeat(5000));
  await put("old.txt", "old!");
  await utimes(join(board.folder, "old.txt"), 1_000_000_000, 1_000_000_000);
  await utimes(join(board.folder, "big.txt"), 1_100_000_000, 1_100_000_000);
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "old.txt" }).waitFor();
  const names = () => page.locator("td.name").allTextContents();
  const press = (name) => page.getByRole("columnheader", { name }).getByRole("button").click();
  const sorted = async (name) => (await page.getByRole("columnheader", { name }).getAttribute("aria-sort")) ?? "";
  assert.deepEqual([await names(), await sorted("Name")], [["big.txt", "hello.txt", "old.txt"], "ascending"]);
  await press("Size");
  assert.deepEqual([await names(), await sorted("Size")], [["big.txt", "hello.txt", "old.txt"], "descending"]);
  await press("Size");
  assert.deepEqual([await names(), await sorted("Size")], [["old.txt", "hello.txt", "big.txt"], "ascending"]);
  await press("Changed");
  assert.deepEqual([await names(), await sorted("Changed")], [["hello.txt", "big.txt", "old.txt"], "descending"]);
  assert.equal(await sorted("Size"), "");
  await close();
});

test("f16: what the page says is in sight, however long the folder is", async () => {
  for (let at = 0; at < 60; at += 1) await put(`file-${at}.txt`);
  const { page, close } = await board.open("/.number8/files", PHONE);
  await page.getByLabel("Select hello.txt").check();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("file-7.txt");
  await page.keyboard.press("Enter");
  const told = page.getByText("there is file-7.txt already");
  await told.waitFor();
  const { y, height } = await told.boundingBox();
  assert.ok(y >= 0 && y + height <= PHONE.viewport.height, `at ${y}`);
  await assertReadable(page);
  await assertFitsThumbs(page);
  await close();
});

test("f16: what was changed while the server was away shows when it is back", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await board.server.stop();
  await put("new.txt");
  board.server = await serveAgain(board.server.url, board.folder, "--board", "--allow", "all");
  await page.getByRole("link", { name: "new.txt" }).waitFor();
  await close();
});
