// What the parts of the page with the files share: what the server says of a folder, and where a person is told things.

import { ask, folders, make, message } from "./common";

export interface Entry {
  path: string;
  type: "file" | "directory";
  size: number;
  /** Not of a folder that only the rules tell of. */
  modified?: string;
  href: string;
}

/** What a folder holds, and what the person may do there, if that is known. */
export interface Listing {
  entries: Entry[];
  /** How many there are. */
  total: number;
  rights?: string[];
}

export const status = make("p", { className: "status" });
status.setAttribute("role", "status");

/** What a person has to know now. */
export function say(text: string, isWrong = false): void {
  status.textContent = text;
  status.classList.toggle("problem", isWrong);
}

export async function trying(what: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    say(`${what}: ${message(error)}`, true);
  }
}

export const encoded = (name: string) => encodeURIComponent(name);
export const decoded = (path: string) => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

interface Page {
  list: Entry[];
  total: number;
  rights: string[];
  next?: string;
}

/** Asks for a folder, as it stands in a URL; `begin` hears of what is known first, where that is not all. */
export async function listing(of: string, begin?: (part: Listing) => void): Promise<Listing> {
  // The way to what is further below, for whom this folder is closed.
  if (of === "/" && folders.length && !folders.includes("/")) {
    const paths = folders.map((path) => path.slice(1, -1));
    const entries = paths.map((path): Entry => ({ path, type: "directory", size: 0, href: `${path.split("/").map(encoded).join("/")}/` }));
    return { entries, total: entries.length, rights: [] };
  }
  const page = async (query: string): Promise<Page> => (await ask(of + query)).json();
  const { list, total, rights, next } = await page("?json");
  const entries = list.filter((entry) => entry.path !== "..");
  if (next) begin?.({ entries: [...entries], total, rights });
  for (let more = next; more; ) {
    const { list, next } = await page(more);
    entries.push(...list.filter((entry) => entry.path !== ".."));
    more = next;
  }
  return { entries, total: entries.length, rights };
}

const PICTURES = /\.(png|jpe?g|gif|webp|avif|svg|ico|bmp)$/i;
const TEXTS = /\.(txt|md|py|js|mjs|ts|json|html?|css|csv|toml|ya?ml|ini|cfg|conf|sh|c|h|cpp|rs|go|log|xml|sql|env)$/i;
const TEXT_BYTES_MAX = 1 << 20;

/** How a file is looked at. */
export function kind(entry: Entry): "picture" | "text" | "other" {
  if (PICTURES.test(entry.path)) return "picture";
  const isText = TEXTS.test(entry.path) || !entry.path.includes(".");
  return isText && entry.size <= TEXT_BYTES_MAX ? "text" : "other";
}
