// By https, with a certificate that the machine has made and an authority that the browser trusts: the way of people.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { test } from "./bounded.mjs";
import { logIn } from "./look.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

/** More than the six connections that a browser opens to a server of HTTP/1.1. */
const STREAMS = 12;

let top, folder, server, browser, stranger;

before(async () => {
  top = await mkdtemp(join(tmpdir(), "number8-"));
  [folder] = [join(top, "site")];
  await mkdir(folder);
  await writeFile(join(folder, "hello.txt"), "hello\n");
  await writeFile(join(folder, "page.html"), "<!DOCTYPE html><html lang=en><title>Page</title><p>A page.");
  const keys = join(top, "keys");
  const options = ["--board", "--auth", "admin:pw@/:all", "--http2-streams", "100"];
  server = await serve(folder, ...options, `--tls-self-signed=${keys}`);

  // The browser's own list of whom it trusts, in a home of its own.
  const home = join(top, "home");
  const list = join(home, ".pki/nssdb");
  await mkdir(list, { recursive: true });
  const certutil = (...args) => execFileSync("certutil", ["-d", `sql:${list}`, ...args], { encoding: "utf8" });
  certutil("-N", "--empty-password");
  certutil("-A", "-n", "number8", "-t", "C,,", "-i", join(keys, "ca.crt"));
  browser = await openBrowser([], { HOME: home });
  stranger = await openBrowser([], { HOME: join(top, "stranger") });
});

after(async () => {
  await browser?.close();
  await stranger?.close();
  await server?.stop();
  if (top) await rm(top, { recursive: true, force: true });
});

/** The protocols of all that a page has loaded, and of itself. */
const protocols = (page) =>
  page.evaluate(() => {
    const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return [...new Set(all.filter(({ responseEnd }) => responseEnd > 0).map((entry) => entry.nextHopProtocol))];
  });

async function logged(path) {
  const opened = await openPage(browser);
  await logIn(opened.page, server.url, path);
  return opened;
}

test("g5: who does not trust the authority is warned", async () => {
  const { page, close } = await openPage(stranger);
  await assert.rejects(page.goto(server.url), /ERR_CERT_AUTHORITY_INVALID/);
  await close();
});

test("g5 g7: a page comes by HTTP/2, from each of the names", async () => {
  const { port } = new URL(server.url);
  for (const url of [server.url, `https://localhost:${port}/`]) {
    const { page, troubles, close } = await openPage(browser);
    await logIn(page, url, "/page.html");
    assert.equal(await page.getByText("A page.").count(), 1);
    assert.deepEqual(await protocols(page), ["h2"]);
    assert.equal(await page.evaluate(() => isSecureContext), true);
    assert.deepEqual(troubles, []);
    await close();
  }
});

test("g7 f16: the page of files adds one", async () => {
  const { page, close } = await logged("/.number8/files");
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  const content = Buffer.alloc(3_000_000, "number8 ");
  await page.locator("input[type=file]").first().setInputFiles([{ name: "big.txt", mimeType: "text/plain", buffer: content }]);
  await page.getByText("1 file is there.").waitFor();
  assert.ok(content.equals(await readFile(join(folder, "big.txt"))));
  assert.deepEqual(await protocols(page), ["h2"]);
  await close();
});

test("g7 x12: event streams take no connection each", async () => {
  const { page, close } = await logged("/page.html");
  await page.evaluate(async (count) => {
    window.heard = 0;
    const open = () =>
      new Promise((resolve, reject) => {
        const source = new EventSource("/.number8/events");
        source.onopen = resolve;
        source.onerror = reject;
        source.addEventListener("call", () => window.heard++);
      });
    await Promise.all(Array.from({ length: count }, open));
  }, STREAMS);
  // One more request gets through, and what it sends reaches each of them.
  const told = await page.evaluate(async () => {
    const sent = await fetch("/.number8/events?event=call", { method: "POST", body: "dinner" });
    return sent.text();
  });
  assert.ok(Number(told) >= STREAMS, told);
  await page.waitForFunction((count) => window.heard === count, STREAMS);
  assert.deepEqual(await protocols(page), ["h2"]);
  await close();
});
