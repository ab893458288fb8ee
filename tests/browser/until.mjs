// Waiting: for a condition, never for a time.

import assert from 'node:assert/strict';

/** Nothing that is waited for may take longer, in milliseconds. */
export const DEADLINE_MS = 15_000;

/** Waits until `condition` gives something true, and gives that. */
export async function until(what, condition, ms = DEADLINE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) assert.fail(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Waits until something is equal to what it should be; says what it was last. */
export async function untilEqual(what, value, expected, ms = DEADLINE_MS) {
  const wanted = JSON.stringify(expected);
  let last;
  await until(what, async () => JSON.stringify((last = await value())) === wanted, ms).catch((error) => {
    if (error instanceof assert.AssertionError) assert.deepEqual(last, expected, what);
    throw error;
  });
}
