// A person logs in by the page, comes back to where they wanted to go, and logs out.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

let browser, folder, server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "number8-"));
  await writeFile(join(folder, "secret.txt"), "the secret");
  server = await serve(folder, "--auth", "joe:a:b@c@/:rw");
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function logIn(page, password = "a:b@c") {
  await page.getByLabel("Name").fill("joe");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

for (const javaScriptEnabled of [true, false]) {
  test(`a5: a browser is led by the form to the page ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
    const { page, close } = await openPage(browser, { javaScriptEnabled });
    await page.goto(server.url + "secret.txt?x=1");
    assert.equal(page.url(), server.url + ".number8/login?to=/secret.txt%3Fx%3D1");
    await logIn(page, "wrong");
    assert.match(await page.getByRole("alert").textContent(), /The name or the password is wrong/);
    await logIn(page);
    assert.equal(page.url(), server.url + "secret.txt?x=1");
    assert.equal(await page.locator("body").textContent(), "the secret");
    await close();
  });
}

test("a5: the session is out of reach of scripts, and ends with the logout", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(server.url + "secret.txt");
  await logIn(page);
  assert.equal(await page.evaluate(() => document.cookie), "");
  const put = await page.evaluate(async () => (await fetch("/new.txt", { method: "PUT", body: "new" })).status);
  assert.equal(put, 201);
  const [cookie] = await page.context().cookies();
  const name = `number8_session_${new URL(server.url).port}`;
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], [name, true, "Strict"]);
  await page.evaluate(() => fetch("/.number8/logout", { method: "POST" }));
  // Somebody may have kept the cookie.
  await page.context().addCookies([cookie]);
  await page.goto(server.url + "secret.txt");
  assert.match(page.url(), /\/\.number8\/login/);
  // A script is refused, and no dialog opens.
  await page.goto(server.url + ".number8/health");
  const status = await page.evaluate(async () => (await fetch("/secret.txt")).status);
  assert.equal(status, 401);
  await close();
});

test("a5: a page of another site cannot use the session", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(server.url + "secret.txt");
  await logIn(page);
  // The same machine under another name is another site.
  const elsewhere = server.url.replace("127.0.0.1", "localhost");
  await page.goto(elsewhere + ".number8/login");
  const told = await page.evaluate(async (base) => {
    const options = { mode: "no-cors", credentials: "include" };
    await fetch(base + "evil.txt", { ...options, method: "POST", body: "evil" }).catch(() => {});
    await fetch(base + "secret.txt", { ...options, method: "POST", body: "evil" }).catch(() => {});
    return fetch(base + "secret.txt", { credentials: "include" }).then(() => "read", () => "no answer");
  }, server.url);
  assert.equal(told, "no answer");
  await page.goto(server.url + "secret.txt");
  assert.equal(await page.locator("body").textContent(), "the secret");
  assert.equal((await page.goto(server.url + "evil.txt")).status(), 404);
  await close();
});
