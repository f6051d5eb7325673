// The list of the page with the files: names of every kind, and what it hears.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { withBoard } from "./board.mjs";
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

test("f16: what was changed while the server was away shows when it is back", async () => {
  const { page, close } = await board.open("/.number8/files");
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await board.server.stop();
  await put("new.txt");
  board.server = await serveAgain(board.server.url, board.folder, "--board", "--allow", "all");
  await page.getByRole("link", { name: "new.txt" }).waitFor();
  await close();
});
