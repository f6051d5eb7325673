// The page with the files: what a person does with it, with a mouse, a keyboard or a thumb.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { holdBack, meet, withBoard } from "./board.mjs";
import { test } from "./bounded.mjs";
import { DARK, DESK, PHONE, assertFitsThumbs, assertReadable } from "./look.mjs";

const board = withBoard({ "hello.txt": "hello\n", "sub/a.txt": "a", "<b>&.txt": "odd" }, () => [
  ...["--auth", "reader:pw@/:ro", "--auth", "uploader:pw@/:up", "--auth", "owner:pw@/:rw"],
  ...["--auth", "below:pw@/sub:up", "--auth", "box:pw@/:create"],
]);

async function open(look, name) {
  const opened = await board.open("/.number8/files", look, name);
  await opened.page.getByRole("link", { name: "hello.txt" }).waitFor();
  return opened;
}

const exists = (name) => stat(join(board.folder, name)).then(() => true, () => false);

/** What is no trouble: streams that end with the page. */
const serious = (troubles) => troubles.filter((trouble) => !/\.number8\/events/.test(trouble));

test("f16: files are added, renamed and deleted, and nothing comes from elsewhere", async () => {
  const { page, troubles, close } = await open();
  const hosts = new Set();
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.locator("input[type=file]").first().setInputFiles([
    { name: "new.txt", mimeType: "text/plain", buffer: Buffer.from("new") },
    { name: "ü%2f?.txt", mimeType: "text/plain", buffer: Buffer.from("odd name") },
  ]);
  await page.getByText("2 files are there.").waitFor();
  assert.equal(await readFile(join(board.folder, "new.txt"), "utf8"), "new");
  assert.equal(await readFile(join(board.folder, "ü%2f?.txt"), "utf8"), "odd name");

  await page.getByLabel("Select new.txt").check();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("old.txt");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await page.getByRole("link", { name: "old.txt" }).waitFor();
  assert.ok((await exists("old.txt")) && !(await exists("new.txt")));

  await page.getByLabel("Select old.txt").check();
  await page.getByLabel("Select sub").check();
  await page.getByRole("button", { name: "Delete 2" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.ok(await exists("sub/a.txt"));
  await page.getByRole("button", { name: "Delete 2" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("2 entries are deleted.").waitFor();
  assert.deepEqual((await readdir(board.folder)).sort(), ["<b>&.txt", "hello.txt", "ü%2f?.txt"].sort());
  assert.deepEqual([...hosts], hosts.size ? [new URL(board.server.url).host] : []);
  assert.deepEqual(serious(troubles), []);
  await close();
});

test("f16: a file that is there is replaced only when asked, and a taken name is told of", async () => {
  const { page, troubles, close } = await open();
  const again = { name: "hello.txt", mimeType: "text/plain", buffer: Buffer.from("other") };
  await page.locator("input[type=file]").first().setInputFiles([again]);
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "hello\n");
  await page.locator("input[type=file]").first().setInputFiles([again]);
  await page.getByRole("dialog").getByRole("button", { name: "Replace" }).click();
  await page.getByText("1 file is there.").waitFor();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "other");
  await page.getByLabel("Select hello.txt").check();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("<b>&.txt");
  await page.keyboard.press("Enter");
  await page.getByText("there is <b>&.txt already").waitFor();
  assert.equal(await readFile(join(board.folder, "<b>&.txt"), "utf8"), "odd");
  // That the server refuses is said to the person, and is no trouble of the page.
  assert.deepEqual(serious(troubles).filter((trouble) => !/^412|status of 412/.test(trouble)), []);
  await close();
});

test("f16: a folder that is added replaces nothing in one that is there without a question", async () => {
  await mkdir(join(board.folder, "sub/deep"));
  await writeFile(join(board.folder, "sub/deep/old.txt"), "precious");
  const source = await mkdtemp(join(tmpdir(), "number8-"));
  await mkdir(join(source, "sub/deep"), { recursive: true });
  for (const name of ["sub/a.txt", "sub/b.txt", "sub/deep/old.txt", "sub/deep/new.txt"]) await writeFile(join(source, name), "added");
  const { page, close } = await open();
  await page.locator("input[type=file]").nth(1).setInputFiles(join(source, "sub"));
  await page.getByRole("dialog", { name: "There are 2 files of these names already" }).getByRole("button", { name: "Cancel" }).click();
  await page.getByText("2 files are there.").waitFor();
  const holds = (name) => readFile(join(board.folder, name), "utf8");
  assert.deepEqual([await holds("sub/a.txt"), await holds("sub/deep/old.txt")], ["a", "precious"]);
  assert.deepEqual([await holds("sub/b.txt"), await holds("sub/deep/new.txt")], ["added", "added"]);
  await page.locator("input[type=file]").nth(1).setInputFiles(join(source, "sub"));
  await page.getByRole("dialog").getByRole("button", { name: "Replace" }).click();
  await page.getByText("4 files are there.").waitFor();
  assert.deepEqual([await holds("sub/a.txt"), await holds("sub/deep/old.txt")], ["added", "added"]);
  await rm(source, { recursive: true });
  await close();
});

test("f16: files and folders are dropped", async () => {
  const { page, close } = await open();
  const transfer = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["dropped"], "dropped.txt"));
    return transfer;
  });
  await page.dispatchEvent("#files", "drop", { dataTransfer: transfer });
  await page.getByRole("link", { name: "dropped.txt" }).waitFor();
  assert.equal(await readFile(join(board.folder, "dropped.txt"), "utf8"), "dropped");
  // A folder that is chosen comes with its own folders.
  const source = await mkdtemp(join(tmpdir(), "number8-"));
  await mkdir(join(source, "tree/deep"), { recursive: true });
  await writeFile(join(source, "tree/deep/leaf.txt"), "leaf");
  await page.locator("input[type=file]").nth(1).setInputFiles(join(source, "tree"));
  await page.getByRole("link", { name: "tree/" }).waitFor();
  assert.equal(await readFile(join(board.folder, "tree/deep/leaf.txt"), "utf8"), "leaf");
  await rm(source, { recursive: true });
  await close();
});

test("f16: a text is changed, and what somebody else has changed meanwhile is not lost", async () => {
  // A tag is strong when the file is two seconds old.
  const old = new Date(Date.now() - 60_000);
  await utimes(join(board.folder, "hello.txt"), old, old);
  const { page, close } = await open();
  await page.getByRole("link", { name: "hello.txt" }).click();
  await page.locator(".cm-content").fill("changed\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("hello.txt is saved.").waitFor();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "changed\n");
  await writeFile(join(board.folder, "hello.txt"), "somebody else's");
  await page.locator(".cm-content").fill("mine");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("somebody has changed it since").waitFor();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "somebody else's");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Throw it away" }).click();
  await page.getByRole("link", { name: "sub/" }).waitFor();
  await close();
});

test("f16: what is typed while the text is being saved is not taken for saved", async () => {
  const old = new Date(Date.now() - 60_000);
  await utimes(join(board.folder, "hello.txt"), old, old);
  const { page, close } = await open();
  await page.getByRole("link", { name: "hello.txt" }).click();
  await page.locator(".cm-content").fill("one");
  const { asked } = await holdBack(page, "**/hello.txt");
  await page.keyboard.press("Control+Enter");
  const held = await asked;
  await page.keyboard.press("Control+Enter");
  await page.keyboard.type(" two");
  await held.continue();
  await page.getByText("hello.txt is saved.").waitFor();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "one");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Save", disabled: true }).waitFor();
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "one two");
  await close();
});

test("f16: a text keeps the ends of its lines and the mark at its beginning", async () => {
  const texts = {
    "windows.txt": "one\r\ntwo\r\n",
    "mark.csv": "\uFEFFa;b\n1;2\n",
    "old.txt": "one\rtwo\r",
    "mixed.log": "one\r\n 10 %\r 20 %\rthree\n",
    "unix.txt": "one\ntwo\n",
  };
  for (const [name, text] of Object.entries(texts)) await writeFile(join(board.folder, name), text);
  const { page, close } = await open();
  for (const [name, text] of Object.entries(texts)) {
    await page.getByRole("link", { name }).click();
    await page.locator(".cm-content").focus();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("x");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${name} is saved.`).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    const end = name === "mixed.log" ? "\n" : text.match(/\r?\n|\r/)[0];
    const wanted = text.startsWith("\uFEFF") ? `\uFEFF${end}${text.slice(1)}x` : `${end}${text}x`;
    assert.equal(await readFile(join(board.folder, name), "utf8"), wanted, name);
  }
  await close();
});

test("f16: a folder whose entries come late is not shown in place of another", async () => {
  await mkdir(join(board.folder, "slow"));
  await writeFile(join(board.folder, "slow/slow.txt"), "");
  const { page, close } = await open();
  const { asked } = await holdBack(page, "**/slow/?json");
  await page.getByRole("link", { name: "slow/" }).click();
  const held = await asked;
  await page.goBack();
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  const came = page.waitForResponse("**/slow/?json");
  await held.continue();
  await (await came).finished();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
  assert.equal(await page.getByRole("link", { name: "slow.txt" }).count(), 0);
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await close();
});

test("f16: what is deleted is what was ticked, wherever the page is by then", async () => {
  await writeFile(join(board.folder, "sub/hello.txt"), "another");
  const { page, close } = await open();
  await page.getByRole("link", { name: "sub/" }).click();
  await page.getByLabel("Select a.txt").check();
  await page.getByLabel("Select hello.txt").check();
  await page.getByRole("button", { name: "Delete 2" }).click();
  const { asked } = await holdBack(page, "**/sub/a.txt");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  const held = await asked;
  await page.goBack();
  await page.getByRole("link", { name: "sub/" }).waitFor();
  await held.continue();
  await page.getByText("2 entries are deleted.").waitFor();
  assert.deepEqual(await readdir(join(board.folder, "sub")), []);
  assert.equal(await readFile(join(board.folder, "hello.txt"), "utf8"), "hello\n");
  await close();
});

test("f16: of several that are deleted, one that is gone already keeps no other", async () => {
  for (const name of ["1.txt", "2.txt", "3.txt"]) await writeFile(join(board.folder, name), "");
  const { page, close } = await open();
  for (const name of ["1.txt", "2.txt", "3.txt"]) await page.getByLabel(`Select ${name}`).check();
  await page.getByRole("button", { name: "Delete 3" }).click();
  await rm(join(board.folder, "2.txt"));
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("3 entries are deleted.").waitFor();
  assert.ok(!(await exists("3.txt")));
  await close();
});

test("f16: what somebody else does shows at once", async () => {
  const { page, close } = await open();
  await page.getByRole("link", { name: "hello.txt" }).focus();
  const answer = await fetch(board.server.url + "theirs.txt", {
    method: "PUT",
    headers: { Authorization: `Basic ${btoa("admin:pw")}` },
    body: "theirs",
  });
  assert.equal(answer.status, 201);
  await page.getByRole("link", { name: "theirs.txt" }).waitFor();
  // What has not changed stays under the finger, and keeps the focus.
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "hello.txt");
  await close();
});

const ADDING = ["Add files", "Add folder", "New file", "New folder"];

for (const [name, offered] of [
  ["reader", []],
  ["uploader", ADDING],
  ["owner", [...ADDING, "Rename", "Delete"]],
]) {
  test(`a3: the page offers what its reader may do, to the ${name}`, async () => {
    const { page, close } = await open(DESK, name);
    assert.deepEqual(await page.locator(".tools").getByRole("button").allTextContents(), offered);
    const transfer = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["dropped"], "dropped.txt"));
      return transfer;
    });
    await page.dispatchEvent("#files", "drop", { dataTransfer: transfer });
    await page.getByText(offered.length ? "1 file is there." : "You may not add files").waitFor();
    assert.equal(await exists("dropped.txt"), offered.length > 0);
    await close();
  });
}

test("a3: who has rights in a folder below is led there, and out", async () => {
  const { page, troubles, close } = await board.open("/", DESK, "below");
  await page.getByRole("link", { name: "sub/" }).click();
  await page.getByRole("link", { name: "a.txt" }).waitFor();
  await page.locator("input[type=file]").first().setInputFiles([{ name: "b.txt", mimeType: "text/plain", buffer: Buffer.from("b") }]);
  await page.getByText("1 file is there.").waitFor();
  assert.equal(await readFile(join(board.folder, "sub/b.txt"), "utf8"), "b");
  await page.getByRole("link", { name: "Home" }).click();
  await page.getByRole("link", { name: "sub/" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Add files" }).count(), 0);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Password").waitFor();
  assert.deepEqual(serious(troubles), []);
  await close();
});

test("a3: who may only add has a page for it", async () => {
  const { page, close } = await board.open("/.number8/board", DESK, "box");
  await page.getByText("The folder cannot be shown").waitFor();
  await page.locator("input[type=file]").first().setInputFiles([{ name: "in.txt", mimeType: "text/plain", buffer: Buffer.from("in") }]);
  await page.getByText("1 file is there.").waitFor();
  assert.equal(await readFile(join(board.folder, "in.txt"), "utf8"), "in");
  await close();
});

test("f16: an upload that is cancelled is told from one that fails", async () => {
  const { page, close } = await open();
  // One is under way until somebody cancels it, the connection of the other breaks.
  await meet(page, "**/slow.txt", () => {});
  await meet(page, "**/broken.txt", (route) => route.abort("connectionreset"));
  const files = ["slow.txt", "broken.txt"].map((name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) }));
  await page.locator("input[type=file]").first().setInputFiles(files);
  const line = (name) => page.locator(".sending li").filter({ hasText: name });
  await line("broken.txt").getByText("not sent").waitFor();
  await line("slow.txt").getByRole("button", { name: "Cancel" }).click();
  await line("slow.txt").getByText("cancelled").waitFor();
  await page.getByText("0 files are there, 1 failed, 1 cancelled.").waitFor();
  await line("slow.txt").getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await line("slow.txt").count(), 0);
  await close();
});

test("f16: a name that cannot be is told of before anything is sent", async () => {
  const { page, close } = await open();
  const sent = [];
  page.on("request", (request) => request.method() !== "GET" && sent.push(`${request.method()} ${request.url()}`));
  const dialog = page.getByRole("dialog");
  const cases = [
    ["", "A name is needed."],
    ["  ", "A name is needed."],
    ["a/b", "A name cannot have / in it."],
    [".", "A name cannot be ."],
    ["..", "A name cannot be .."],
    ["ü".repeat(128), "The name is too long: 256 bytes"],
  ];
  await page.getByLabel("Select hello.txt").check();
  for (const button of ["Rename", "New file", "New folder"]) {
    await page.getByRole("button", { name: button }).click();
    for (const [name, told] of cases) {
      await dialog.getByRole("textbox").fill(name);
      await page.keyboard.press("Enter");
      await dialog.getByRole("alert").filter({ hasText: told }).waitFor();
    }
    await dialog.getByRole("button", { name: "Cancel" }).click();
  }
  assert.deepEqual(sent, []);
  await page.getByRole("button", { name: "New folder" }).click();
  await dialog.getByRole("textbox").fill("ü".repeat(127));
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "ü".repeat(127) }).waitFor();
  await close();
});

test("f16: an address that browsers take for that of another host leads nowhere", async () => {
  const { page, troubles, close } = await open();
  for (const folder of ["//other.example/", "/\\other.example/", "/\\/other.example/"]) {
    const asked = page.waitForRequest((request) => !request.url().includes("/events"));
    await page.evaluate((to) => (location.hash = to), folder);
    assert.equal(new URL((await asked).url()).host, new URL(board.server.url).host, folder);
    await page.getByRole("link", { name: "hello.txt" }).waitFor();
  }
  assert.deepEqual(serious(troubles), []);
  await close();
});

test("f16: folders are walked through with the keyboard, and the address leads back", async () => {
  const { page, close } = await open();
  await page.getByRole("link", { name: "sub/" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "a.txt" }).waitFor();
  assert.ok(page.url().endsWith("#/sub/"));
  const focused = () => page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.textContent}`);
  assert.equal(await focused(), "H1 sub");
  await page.getByRole("link", { name: "a.txt" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "a.txt", level: 1 }).waitFor();
  await page.locator(".cm-content").waitFor();
  await page.getByRole("button", { name: "Close" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sub", level: 1 }).waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === "a.txt");
  await page.reload();
  await page.getByRole("link", { name: "a.txt" }).waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  await close();
});

for (const [name, options] of Object.entries({ DESK, PHONE, DARK })) {
  test(`wish 33: the files can be read and touched (${name})`, async () => {
    const { page, close } = await open(options);
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    await page.getByRole("link", { name: "hello.txt" }).click();
    await page.locator(".cm-content").waitFor();
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    await page.goto(board.server.url + "?list");
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    // The narrowest there is: a small phone, or a page that is shown four times as large.
    await page.setViewportSize({ width: 320, height: 640 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    await page.goto(board.server.url + ".number8/login");
    await assertReadable(page);
    if (options === PHONE) await assertFitsThumbs(page);
    await close();
  });
}
