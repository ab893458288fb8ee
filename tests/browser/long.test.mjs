// Ten thousand messages in one conversation: the page holds a window of them, and one scrolls through all without noticing.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test long.test.mjs
//
// The nodes must let a user send as fast as this does: SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND=1000000 and
// SWITCHBOARD_LIMITS__MESSAGES_BURST=1000000. SWITCHBOARD_TEST_MESSAGES is another number of messages.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Account } from './account.mjs';
import { scrollThrough } from './measure.mjs';
import { Person, launch, nodes } from './people.mjs';

const MESSAGES = Number(process.env.SWITCHBOARD_TEST_MESSAGES ?? 10_000);
/** As many as the document may hold at a time. */
const HELD = 600;
/** What one reads may be this far off after more was added, in pixels. */
const STILL_PX = 2;

let browser, bob, ids;

before(async () => {
  browser = await launch();
  const [ann, reader] = await Promise.all(nodes().map((url, at) => Account.make(url, ['Ann Arbor', 'Bob Burns'][at])));
  const contents = Array.from({ length: MESSAGES }, (_, nth) => `message ${nth}${nth % 12 === 0 ? `\n${'another line\n'.repeat(nth % 9)}` : ''}`);
  await ann.sendMany(reader, contents);
  const { id } = (await reader.request('GET', '/conversations')).conversations[0];
  ids = await reader.messageIds(id);
  assert.equal(ids.length, MESSAGES);
  await reader.request('POST', `/conversations/${id}/read`, { up_to: ids.at(-1) });
  bob = await Person.at(browser, reader);
  await bob.go(`#/c/${id}`);
  await bob.isAt('Ann Arbor');
  await bob.thread.locator(`article.message[data-id="${ids.at(-1)}"]`).waitFor();
});

after(() => browser?.close());

test('from the end to the very first message, and back', async (t) => {
  for (const end of ['top', 'bottom']) {
    const { seen, moved, held, faults, steps } = await scrollThrough(bob, ids, end);
    t.diagnostic(`to the ${end} in ${steps} steps: ${seen.length} seen, ${held} at most in the document, moved ${moved} px at most`);
    assert.deepEqual(faults, []);
    const all = new Set(seen);
    const missed = ids.flatMap((id, at) => (all.has(id) ? [] : [at]));
    assert.deepEqual(missed, []);
    assert.ok(held <= HELD, `${held} messages in the document`);
    assert.ok(moved <= STILL_PX, `what one read moved by ${moved} px`);
  }
  await bob.behavedWell();
});
