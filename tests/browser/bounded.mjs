// The runner's own test, but for one that waits for ever: it alone fails, and the rest of its file goes on.

import { test as unbounded } from "node:test";

const TEST_MS_MAX = 120_000;

export const test = (name, run) => unbounded(name, { timeout: TEST_MS_MAX }, run);
