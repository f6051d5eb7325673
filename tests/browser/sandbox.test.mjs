// Files of people who are not trusted: what a page of theirs can do when the admin opens it.

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

let browser, folder, server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "number8-"));
  await writeFile(join(folder, "secret.txt"), "the secret");
  server = await serve(folder, "--board", "--auth", "admin:pw@/:all", "--auth", "joe:pw@/in:up");
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

// It tries everything, and leaves what it was told where the test finds it.
const ATTACK = `
  const told = [];
  const ask = async (path, options = {}) => {
    try {
      const answer = await fetch(path, { credentials: "include", ...options });
      told.push(answer.type === "opaque" ? "opaque" : answer.status + " " + (await answer.text()));
    } catch { told.push("no answer"); }
  };
  const listen = (path) => new Promise((done) => {
    const socket = new WebSocket(path.replace("http", "ws"));
    socket.onopen = () => { told.push("200 open"); done(); };
    socket.onerror = () => { told.push("no socket"); done(); };
  });
  (async () => {
    const base = document.URL.replace(/\\/in\\/.*/, "");
    for (const path of ["/secret.txt", "/.number8/run", "/.number8/run/programs/", "/?json"]) await ask(base + path);
    for (const mode of ["cors", "no-cors"]) {
      const code = new URLSearchParams({ code: "open('evil.txt', 'w')" });
      await ask(base + "/.number8/run", { method: "POST", mode, body: code });
      await ask(base + "/evil.txt", { method: "POST", mode, body: "evil" });
      await ask(base + "/.number8/events", { method: "POST", mode, body: "evil" });
      await ask(base + "/.number8/logout", { method: "POST", mode });
    }
    await ask(base + "/evil.txt", { method: "PUT", body: "evil" });
    await ask(base + "/secret.txt", { method: "DELETE" });
    await listen(base + "/.number8/repl");
    try { told.push("cookie " + document.cookie); } catch { told.push("no cookie"); }
    document.documentElement.setAttribute("data-told", JSON.stringify(told));
  })();`;

const HTML = `<!doctype html><script>${ATTACK}</script>
<form method="post" action="../evil.txt"><button id="file">file</button></form>
<form method="post" action="../.number8/run"><input name="code" value="print(1)"><button id="run">run</button></form>`;
const SVG = `<svg xmlns="http://www.w3.org/2000/svg"><script>//<![CDATA[
${ATTACK}
//]]></script></svg>`;

async function upload(name, content) {
  const headers = { Authorization: `Basic ${btoa("joe:pw")}` };
  const answer = await fetch(`${server.url}in/${name}`, { method: "PUT", headers, body: content });
  assert.equal(answer.status, 201);
}

async function logIn(page) {
  await page.goto(server.url + ".number8/login?to=/secret.txt");
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("pw");
  await page.getByRole("button", { name: "Log in" }).click();
  assert.equal(await page.locator("body").textContent(), "the secret");
}

for (const [name, content] of [["evil.html", HTML], ["evil.svg", SVG]]) {
  test(`design 7: ${name} of somebody else's does nothing in the name of who opens it`, async () => {
    await upload(name, content);
    const { page, close } = await openPage(browser);
    await logIn(page);
    const answer = await page.goto(server.url + "in/" + name);
    assert.match((await answer.allHeaders())["content-security-policy"], /^sandbox allow-scripts allow-forms$/);
    await page.waitForFunction(() => document.documentElement.hasAttribute("data-told"));
    const told = JSON.parse(await page.locator(":root").getAttribute("data-told"));
    assert.equal(told.length, 16);
    for (const line of told) assert.match(line, /^(no answer|opaque|no socket|no cookie|cookie )$/, told.join("\n"));
    if (name === "evil.html") {
      for (const button of ["#file", "#run"]) {
        await page.goto(server.url + "in/" + name);
        const [posted] = await Promise.all([
          page.waitForResponse((response) => response.request().method() === "POST" && response.request().isNavigationRequest()),
          page.locator(button).click(),
        ]);
        assert.equal(posted.status(), 403, button);
      }
    }
    assert.deepEqual((await readdir(folder)).sort(), ["in", "secret.txt"]);
    // The session is still there.
    await page.goto(server.url + "secret.txt");
    assert.equal(await page.locator("body").textContent(), "the secret");
    await close();
  });
}
