// The listing of a folder without an index file.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { test } from "./bounded.mjs";
import { openBrowser, openPage, serve } from "./number8.mjs";

const SITE = fileURLToPath(new URL("../../examples/site", import.meta.url));
const BY_NAME = ["gauges.csv", "season.txt", "shopping-list.txt", "wire.json"];
const BY_SIZE = ["shopping-list.txt", "wire.json", "gauges.csv", "season.txt"];

// Names that become markup, script or another path where they are not escaped.
const HOSTILE = [
  "<img src=x onerror=alert(1)>.txt",
  "<svg onload=alert(1)>.txt",
  "\"><a onmouseover='alert(1)'>.txt",
  "javascript:alert(1)",
  "&lt;b&gt;.txt",
  "what?#when.txt",
  "%2e%2e%2fetc.txt",
  " spaces  everywhere .txt",
  "übergröße 数字 🐑.txt",
  `${"long-".repeat(40)}name.txt`,
];

let browser, folder, server, hostile;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "number8-"));
  await mkdir(join(folder, "deep", "er"), { recursive: true });
  for (const name of HOSTILE) await writeFile(join(folder, "deep", name), `this is ${name}`);
  server = await serve(SITE);
  hostile = await serve(folder);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await hostile?.stop();
  await rm(folder, { recursive: true });
});

/** The names of `among` in the order in which the page links to them. */
async function linked(page, among) {
  const names = await page.getByRole("link").allTextContents();
  return names.map((name) => name.trim()).filter((name) => among.includes(name));
}

for (const javaScriptEnabled of [true, false]) {
  const script = javaScriptEnabled ? "with JavaScript" : "without JavaScript";

  test(`f8: a click on a heading sorts, a second one turns round, ${script}`, async () => {
    const { page, troubles, close } = await openPage(browser, { javaScriptEnabled });
    await page.goto(server.url);
    await page.getByRole("link", { name: "Downloads" }).click();
    assert.deepEqual(await linked(page, BY_NAME), BY_NAME);

    const size = page.getByRole("columnheader", { name: /size/i }).getByRole("link");
    await size.click();
    const first = await linked(page, BY_NAME);
    await size.click();
    const second = await linked(page, BY_NAME);
    assert.deepEqual([first, second].toSorted(), [BY_SIZE, BY_SIZE.toReversed()].toSorted());
    assert.deepEqual(troubles, []);
    await close();
  });
}

test("f7: sizes and dates stand beside the names", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(new URL("downloads/", server.url).href);
  const row = page.getByRole("row").filter({ hasText: "season.txt" });
  assert.match(await row.innerText(), /508/);
  assert.match(await row.innerText(), /20\d\d-\d\d-\d\d/);
  await close();
});

test("f7: breadcrumbs lead to every folder above", async () => {
  const { page, troubles, close } = await openPage(browser);
  const path = () => new URL(page.url()).pathname;
  await page.goto(new URL("deep/er/", hostile.url).href);
  await page.getByRole("navigation").getByRole("link", { name: "deep", exact: true }).click();
  assert.equal(path(), "/deep/");
  await page.getByRole("link", { name: /^er\/?$/ }).click();
  assert.equal(path(), "/deep/er/");
  await page.getByRole("navigation").getByRole("link").first().click();
  assert.equal(path(), "/");
  assert.deepEqual(troubles, []);
  await close();
});

test("security: a hostile file name is shown as text, runs nothing and opens its file", async () => {
  const { page, troubles, close } = await openPage(browser);
  const listing = new URL("deep/", hostile.url).href;
  for (const name of HOSTILE) {
    await page.goto(listing);
    const links = await page.locator("a").evaluateAll((all) => all.map((a) => [a.textContent, a.href]));
    const [, href] = links.find(([text]) => text.includes(name)) ?? [];
    assert.ok(href, `no link shows ${name}: ${JSON.stringify(links)}`);
    assert.equal(new URL(href).origin, new URL(listing).origin, name);
    const answer = await page.request.get(href);
    assert.equal(await answer.text(), `this is ${name}`);
  }
  assert.equal(await page.locator("[onerror], [onload], [onmouseover]").count(), 0);
  assert.deepEqual(troubles, []);
  await close();
});

test("f7: a phone shows the listing without scrolling sideways", async () => {
  const { page, close } = await openPage(browser, {
    viewport: { width: 360, height: 740 },
    deviceScaleFactor: 3,
    hasTouch: true,
    isMobile: true,
  });
  for (const url of [new URL("downloads/", server.url), new URL("deep/", hostile.url)]) {
    await page.goto(url.href);
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.equal(screen, 360, `${url} widens the screen`);
    assert.ok(content <= screen, `${url} is ${content} px wide`);
  }
  await close();
});

test("f7: the listing follows the system's dark mode", async () => {
  const brightness = async (colorScheme) => {
    const { page, close } = await openPage(browser, { colorScheme });
    await page.goto(new URL("downloads/", server.url).href);
    const { width, height } = page.viewportSize();
    const corner = await page.screenshot({ clip: { x: width - 1, y: height - 1, width: 1, height: 1 } });
    await page.goto("about:blank");
    const rgb = await page.evaluate(async (png) => {
      const image = await createImageBitmap(new Blob([Uint8Array.from(png)]));
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.drawImage(image, 0, 0);
      return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }, [...corner]);
    await close();
    return Math.max(...rgb);
  };
  const light = await brightness("light");
  const dark = await brightness("dark");
  assert.ok(light > 200 && dark < 80, `light ${light}, dark ${dark}`);
});
