// A conversation with a past: one scrolls back through it, jumps in it, and finds what was said in it.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test history.test.mjs

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { isInView, scrollTo, shownIds } from './measure.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

const MESSAGES = 130;
/** What one reads may be this far off after more was added, in pixels. */
const STILL_PX = 2;

let browser, ann, bob;
/** Those of the conversation, the oldest first. */
const past = [];

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  const [writer, reader] = await Promise.all([Account.make(first, 'Ann Arbor'), Account.make(second, 'Bob Burns')]);
  for (let nth = 0; nth < MESSAGES; nth += 1) {
    const [from, to] = nth % 3 === 0 ? [reader, writer] : [writer, reader];
    past.push(await from.send(to, `number ${nth} ${'and so on '.repeat((7 * nth) % 23)}`.trim()));
  }
  await writer.request('POST', '/messages', { recipient_id: reader.id, content: 'the end', reply_to_id: past[2].message_id });
  await reader.read(past.at(-1));
  await writer.read(past.at(-1));
  ann = await Person.at(browser, writer);
  bob = await Person.at(browser, reader);
});

afterEach(async () => {
  await ann.behavedWell();
  await bob.behavedWell();
});

after(() => browser?.close());

test('what one reads stays where it is while older messages come in above', async () => {
  await bob.openThread('Ann Arbor');
  await bob.message('the end').waitFor();
  await bob.hasUnread(0);
  let steps = 0;
  for (; (await shownIds(bob))[0] !== past[0].message_id; steps += 1) {
    const { moved, isMore } = await scrollTo(bob, 'top');
    assert.ok(isMore, 'more messages come');
    assert.ok(moved <= STILL_PX, `it moved ${moved} px`);
  }
  assert.ok(steps > 0, 'it was not all there from the start');
  const ids = await shownIds(bob);
  assert.deepEqual(ids.slice(0, MESSAGES), past.map(({ message_id }) => message_id).slice(0, ids.length));
});

test('one jumps to what was answered', async () => {
  await bob.page.reload();
  await bob.message('the end').locator('.quote').click();
  await until('the first is seen', () => isInView(bob, past[2].message_id));
  assert.ok(past[2].content.startsWith('number 2'));
});

test('who reads above is told how much is new below, and jumps there', async () => {
  await scrollTo(bob, 'top', 1);
  const [eye] = await shownIds(bob);
  for (const text of ['one more', 'two more', 'three more']) await ann.account.send(bob, text);
  const jump = bob.thread.getByRole('button', { name: 'Jump to latest, 3 new' });
  await jump.waitFor();
  assert.ok(await isInView(bob, eye), 'nobody was moved');
  await bob.hasUnread(3);
  await jump.click();
  await bob.hasUnread(0);
  const { id } = (await bob.messages()).at(-1);
  await until('the last is seen', () => isInView(bob, id));
  await bob.thread.getByRole('button', { name: /^Jump to latest/ }).waitFor({ state: 'hidden' });
});

test('what comes while one was away stands below a line', async () => {
  await bob.go('#/');
  await ann.account.send(bob, 'while away');
  await bob.hasUnread(1);
  await bob.openThread('Ann Arbor');
  await bob.thread.locator('.new-divider').waitFor();
  const next = await bob.thread.locator('.new-divider').evaluate((divider) => {
    const articles = [...divider.getRootNode().querySelectorAll('article.message')];
    return articles.find((article) => divider.compareDocumentPosition(article) & Node.DOCUMENT_POSITION_FOLLOWING)?.querySelector('.text').textContent;
  });
  assert.equal(next, 'while away');
  await bob.hasUnread(0);
});

test('a search finds what was said long ago, and opens the thread there', async () => {
  await ann.search('number 7');
  const row = ann.page.locator(`a.row[data-message="${past[7].message_id}"]`);
  await row.click();
  await ann.isAt('Bob Burns');
  await until('it is seen', () => isInView(ann, past[7].message_id));
  await ann.search('');
  await ann.go(`#/c/${past[0].conversation_id}/${past[60].message_id}`);
  await until('that one is seen', () => isInView(ann, past[60].message_id));
});

test('messages follow one another by the arrow keys', async () => {
  await bob.scroller.focus();
  await bob.page.keyboard.press('End');
  const focused = () => bob.page.evaluate(() => document.activeElement?.closest('article.message')?.querySelector('.text').textContent);
  await untilEqual('the last has the focus', focused, 'while away');
  await bob.page.keyboard.press('ArrowUp');
  await untilEqual('the one before', focused, 'three more');
  await bob.page.keyboard.press('ArrowDown');
  await untilEqual('the last again', focused, 'while away');
});
