// What pages of other sites can do with a visitor's browser, and what a person who logs in sees.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

let browser, folder, server, elsewhere;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "number8-"));
  await writeFile(join(folder, "secret.txt"), "the secret");
  await writeFile(join(folder, "page.html"), "<h1>ours</h1>");
  server = await serve(folder, "--allow", "rw", "--host", "farm.example");
  elsewhere = await otherSite();
  browser = await openBrowser(["--host-resolver-rules=MAP *.example 127.0.0.1"]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  elsewhere?.closeAllConnections();
  elsewhere?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Another site on a port of its own. */
async function otherSite() {
  const site = createServer((_, response) => response.end("<h1>elsewhere</h1>"));
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  return site;
}

/** The URL of a path of a server of ours under another name that leads to it. */
function named(host, path, base = server.url) {
  const url = new URL(path, base);
  url.hostname = host;
  return url.href;
}

/** Has the page ask in every way that needs no permission, and some that do; gives what it was told. */
function attack(page, base) {
  return page.evaluate(async (base) => {
    const told = [];
    const ask = async (path, options) => {
      try {
        const response = await fetch(base + path, options);
        told.push(response.type === "opaque" ? "opaque" : `${response.status} ${await response.text()}`);
      } catch {
        told.push("no answer");
      }
    };
    await ask("secret.txt");
    await ask("secret.txt", { mode: "no-cors" });
    await ask("evil.txt", { method: "PUT", body: "evil" });
    await ask("secret.txt", { method: "DELETE" });
    const form = new FormData();
    form.append("file", new Blob(["evil"]), "evil.txt");
    await ask("", { method: "POST", mode: "no-cors", body: form });
    await ask("evil.txt", { method: "POST", mode: "no-cors", body: "evil" });
    return told;
  }, base);
}

async function untouched() {
  assert.deepEqual((await readdir(folder)).sort(), ["page.html", "secret.txt"]);
  assert.equal(await readFile(join(folder, "secret.txt"), "utf8"), "the secret");
}

test("a10: a page of another site can neither read nor write", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
  for (const told of await attack(page, server.url)) assert.match(told, /^(no answer|opaque)$/);
  await untouched();
  await close();
});

test("a10: a page that has its own name lead to us cannot write", async () => {
  // Without --host anybody may read under any name, so this page stands for one that a site of that name sent before.
  const open = await serve(folder, "--allow", "rw");
  const { page, close } = await openPage(browser);
  const base = named("evil.example", "/", open.url);
  await page.goto(new URL("page.html", base).href);
  const [read, , ...writes] = await attack(page, base);
  assert.equal(read, "200 the secret");
  // For the browser it is the same origin, so only we can refuse.
  for (const told of writes) assert.match(told, /^(421 |opaque$)/);
  await untouched();
  await close();
  await open.stop();
});

test("a10: with --host it cannot read either", async () => {
  const { page, close } = await openPage(browser);
  const answer = await page.goto(named("evil.example", "secret.txt"));
  assert.equal(answer.status(), 421);
  assert.doesNotMatch(await page.content(), /the secret/);
  assert.match(await page.content(), /--host NAME/);
  await close();
});

test("a10: our own page reads and writes, under the name that --host gives", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(named("farm.example", "page.html"));
  const told = await page.evaluate(async () => {
    const put = await fetch("/new.txt", { method: "PUT", body: "new" });
    const text = await (await fetch("/new.txt")).text();
    const gone = await fetch("/new.txt", { method: "DELETE" });
    return [put.status, text, gone.status];
  });
  assert.deepEqual(told, [201, "new", 204]);
  await untouched();
  await close();
});

test("a1: a browser asks for the password and remembers it", async () => {
  const guarded = await serve(folder, "--auth", "joe:a:b@c@/:ro", "--no-login-page");
  const refused = await openPage(browser);
  await assert.rejects(refused.page.goto(guarded.url + "secret.txt"), /ERR_INVALID_AUTH_CREDENTIALS/);
  await refused.close();
  const { page, close } = await openPage(browser, { httpCredentials: { username: "joe", password: "a:b@c" } });
  assert.equal((await page.goto(guarded.url + "secret.txt")).status(), 200);
  assert.equal(await page.locator("body").textContent(), "the secret");
  await close();
  await guarded.stop();
});

test("g12: with --cors another site may read, and still not write", async () => {
  const open = await serve(folder, "--allow", "rw", "--cors");
  const { page, close } = await openPage(browser);
  await page.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
  const [read, , ...writes] = await attack(page, open.url);
  assert.equal(read, "200 the secret");
  for (const told of writes) assert.match(told, /^(403 .*|no answer|opaque)$/s);
  await untouched();
  await close();
  await open.stop();
});
