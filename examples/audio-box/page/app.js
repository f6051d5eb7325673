// The page asks for what there is whenever it is told that something has changed, by whichever page.

const $ = (id) => document.getElementById(id);
const songUrl = (name) => `/songs/${encodeURIComponent(name)}`;
const apiUrl = (kind, name) => `/api/${kind}/${encodeURIComponent(name)}`;

// Songs that are shown, by name: what plays goes on playing while others come and go.
const shown = new Map();

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", bad);
}

/** The sentence of an error, which is told in a line: `415 Unsupported Media Type: this box takes songs only`. */
function sentence(status, line) {
  const text = /^\d{3} [^:<]*: (.+)/.exec(line)?.[1];
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : `The box answered ${status}.`;
}

async function ask(method, url, value) {
  const body = value && JSON.stringify(value);
  const response = await fetch(url, { method, body, headers: body ? { "Content-Type": "application/json" } : {} });
  if (!response.ok) throw new Error(sentence(response.status, await response.text()));
  return response;
}

/** Does something, and tells how it went. */
async function attempt(work, done) {
  try {
    await work();
    say(done);
  } catch (error) {
    say(error.message, true);
  }
  await refresh();
}

/** A question with one field, or none; the answer, or null. */
function question(title, verb, label, value = "") {
  const [dialog, field] = [$("ask"), $("answer")];
  $("question").textContent = title;
  $("yes").textContent = verb;
  field.closest(".field").hidden = !label;
  field.labels[0].textContent = label ?? "";
  field.required = Boolean(label);
  field.value = value;
  dialog.returnValue = "no";
  dialog.showModal();
  if (label) field.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? field.value.trim() : null), { once: true });
  });
}

async function bind(name) {
  const token = await question(`Bind a token to ${name}`, "Bind", "Token");
  if (token) await attempt(() => ask("PUT", apiUrl("tokens", token), { song: name }), `Token ${token} plays ${name}.`);
}

async function rename(name) {
  const to = await question(`Rename ${name}`, "Rename", "New name", name);
  if (to && to !== name) await attempt(() => ask("PATCH", apiUrl("songs", name), { name: to }), `${name} is called ${to} now.`);
}

async function remove(name) {
  const sure = await question(`Delete ${name}?`, "Delete");
  if (sure !== null) await attempt(() => ask("DELETE", apiUrl("songs", name)), `${name} is gone.`);
}

function size(bytes) {
  const [count, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${count.toFixed(count < 10 ? 1 : 0)} ${unit}`;
}

function newRow(name) {
  const row = $("song").content.firstElementChild.cloneNode(true);
  row.querySelector("h3").textContent = name;
  const audio = row.querySelector("audio");
  audio.src = songUrl(name);
  audio.setAttribute("aria-label", `Play ${name}`);
  for (const [kind, action] of Object.entries({ bind, rename, delete: remove })) {
    const button = row.querySelector(`.${kind}`);
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    button.addEventListener("click", () => action(name));
  }
  return row;
}

function showTokens(row, tokens) {
  row.querySelector(".tokens").replaceChildren(...tokens.map((token) => {
    const [item, free] = [document.createElement("li"), document.createElement("button")];
    free.textContent = "Unbind";
    free.setAttribute("aria-label", `Unbind token ${token}`);
    free.addEventListener("click", () => attempt(() => ask("DELETE", apiUrl("tokens", token)), `Token ${token} is free.`));
    item.append(token, free);
    return item;
  }));
}

function show(songs, tokens) {
  const names = new Set(songs.map((song) => song.path));
  for (const [name, row] of shown) {
    if (names.has(name)) continue;
    row.remove();
    shown.delete(name);
  }
  songs.forEach((song, index) => {
    const row = shown.get(song.path) ?? newRow(song.path);
    shown.set(song.path, row);
    row.querySelector(".title small").textContent = size(song.size);
    showTokens(row, Object.keys(tokens).filter((token) => tokens[token] === song.path));
    const there = $("songs").children[index];
    // Moving a row that plays would stop it.
    if (there !== row) $("songs").insertBefore(row, there ?? null);
  });
  $("count").textContent = songs.length ? `${songs.length}` : "";
  $("empty").hidden = songs.length > 0;
}

let asked = 0;
async function refresh() {
  const mine = ++asked;
  try {
    const answers = [ask("GET", "/songs/?json"), ask("GET", "/api/tokens")];
    const [listing, tokens] = await Promise.all(answers.map(async (answer) => (await answer).json()));
    // A later question has a later answer.
    if (mine === asked) show(listing.list.filter((entry) => entry.type === "file"), tokens);
  } catch (error) {
    say(error.message, true);
  }
}

function upload(file) {
  const [item, label, bar] = ["li", "label", "progress"].map((name) => document.createElement(name));
  bar.max = 1;
  bar.value = 0;
  label.append(file.name, bar);
  item.append(label);
  $("uploads").append(item);
  // Only this tells how far it has come.
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => { bar.value = event.loaded / event.total; });
    request.addEventListener("error", () => reject(new Error(`${file.name} did not arrive.`)));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve();
      else reject(new Error(`${file.name}: ${sentence(request.status, request.responseText)}`));
    });
    request.open("PUT", songUrl(file.name));
    request.send(file);
  }).finally(() => item.remove());
}

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const files = [...$("files").files];
  attempt(async () => {
    for (const file of files) await upload(file);
    $("add").reset();
  }, files.length === 1 ? `${files[0].name} has arrived.` : `${files.length} songs have arrived.`);
});

$("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  await refresh();
  const token = $("token").value.trim();
  const tokens = await (await ask("GET", "/api/tokens")).json();
  const row = shown.get(tokens[token]);
  document.querySelector(".found")?.classList.remove("found");
  if (!row) return say(`No song is bound to token ${token}.`, true);
  row.classList.add("found");
  row.scrollIntoView({ block: "nearest" });
  say(`Token ${token} plays ${tokens[token]}.`);
  row.querySelector("audio").play().catch(() => {});
});

const events = new EventSource("/events");
events.addEventListener("open", () => {
  $("link").textContent = "Live";
  $("link").classList.remove("bad");
  refresh();
});
events.addEventListener("error", () => {
  $("link").textContent = "Connection lost, trying again…";
  $("link").classList.add("bad");
});
events.addEventListener("message", refresh);
refresh();
