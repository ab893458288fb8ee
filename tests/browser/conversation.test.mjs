// Two people on two nodes of one cluster talk, each at the page in a browser of their own.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test conversation.test.mjs
//
// The tests share both people and build on one another; each leaves them logged in, with nothing unread.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { Gate } from './gate.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

let browser, ann, bob, carol;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  ann = await Person.stranger(browser, first, 'Ann Arbor');
  bob = await Person.stranger(browser, second, 'Bob Burns');
  carol = await Account.make(first, 'Carol Clay');
  await Promise.all([ann.register(), bob.register()]);
});

afterEach(async () => {
  await ann.behavedWell();
  await bob.behavedWell();
});

after(() => browser?.close());

test('a first message arrives as it is written, and is read', async () => {
  await ann.page.getByRole('link', { name: 'New message' }).click();
  await ann.pick('To', bob);
  await ann.box.fill('At noon?');
  await ann.box.press('Shift+Enter');
  await ann.page.keyboard.type('  Or later.');
  await ann.box.press('Enter');
  await ann.isAt('Bob Burns');

  await bob.hasUnread(1);
  assert.equal(await bob.row('Ann Arbor').locator('.badge').textContent(), '1');
  await untilEqual('it is read aloud', () => bob.page.locator('#news').textContent(), 'Ann Arbor: At noon? Or later.');
  await untilEqual('it is at the node', async () => (await ann.messages()).map(({ mark }) => mark), ['stored']);
  await bob.openThread('Ann Arbor');
  await bob.hasUnread(0);
  await bob.row('Ann Arbor').locator('.badge').waitFor({ state: 'hidden' });
  assert.deepEqual(await bob.texts(), ['At noon?\n  Or later.']);
  await untilEqual('it is read', async () => (await ann.messages()).map(({ mark }) => mark), ['read']);
});

test('who writes is shown to write, until the message is there or they stop', async () => {
  await until('Bob is there', async () => /online/.test(await ann.presence.textContent()));
  await bob.box.pressSequentially('No');
  await until('Bob writes', async () => /typing/.test(await ann.presence.textContent()));
  await bob.box.press('Enter');
  await ann.message('No').waitFor();
  await until('he is done', async () => /online/.test(await ann.presence.textContent()));
  // Soon after a message it is not told yet; who goes on writing is.
  const writes = async () => {
    await bob.box.press('a');
    return /typing/.test(await ann.presence.textContent());
  };
  await until('Bob writes again', writes);
  await bob.box.fill('');
  await until('he stopped', async () => /online/.test(await ann.presence.textContent()));
});

test('a message is on its way until the node has it', async () => {
  const gate = await Gate.into(ann);
  await ann.isAt('Bob Burns');
  gate.letsOut = false;
  await ann.write('Then later', { subject: 'Lunch' });
  await until('it went out', () => gate.sent.length === 1);
  await ann.isMarked('Then later', 'pending');
  assert.equal(await bob.message('Then later').count(), 0);
  gate.letsOut = true;
  await gate.end();
  await ann.isMarked('Then later', 'read');
  await untilEqual('it is there once', () => ann.message('Then later').count(), 1);
  const [last] = (await bob.messages()).slice(-1);
  assert.deepEqual([last.subject, last.text], ['Lunch', 'Then later']);
});

test('an answer shows what it answers, and a reaction who set it', async () => {
  await bob.act('Then later', 'Reply');
  await bob.thread.getByRole('button', { name: 'Cancel reply' }).waitFor();
  await bob.write('One is fine');
  for (const person of [ann, bob]) {
    const quote = person.message('One is fine').locator('.quote');
    await quote.waitFor();
    assert.match(await quote.textContent(), /Then later/);
  }
  await bob.react('Then later', '👍');
  const [own, other] = [bob, ann].map((person) => person.message('Then later').locator('.reactions button'));
  await other.waitFor();
  assert.deepEqual([await own.getAttribute('aria-pressed'), await other.getAttribute('aria-pressed')], ['true', 'false']);
  await other.click();
  await until('both', async () => /2/.test(await own.textContent()));
  await own.click();
  await until('one of them', async () => !/2/.test(await other.textContent()));
  await other.click();
  await own.waitFor({ state: 'detached' });
});

test('an edit shows at both, with what was said before', async () => {
  await ann.act('Then later', 'Edit');
  assert.equal(await ann.box.inputValue(), 'Then later');
  await ann.box.fill('Then at one');
  await ann.box.press('Enter');
  await bob.message('Then at one').waitFor();
  await ann.message('Then at one').waitFor();
  assert.equal(await ann.box.inputValue(), '');
  await bob.message('Then at one').locator('.edited').click();
  await bob.page.getByRole('dialog').getByText('Then later', { exact: true }).waitFor();
  await bob.page.keyboard.press('Escape');
  await bob.page.getByRole('dialog').waitFor({ state: 'hidden' });

  await bob.box.press('ArrowUp');
  assert.equal(await bob.box.inputValue(), 'One is fine');
  await bob.box.press('Escape');
  assert.equal(await bob.box.inputValue(), '');
});

test('who sent a message deletes it for all, who received it for themselves', async () => {
  await ann.write('A slip');
  await bob.message('A slip').waitFor();
  await ann.act('A slip', 'Delete');
  await ann.page.getByRole('button', { name: 'Keep' }).click();
  await ann.page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal(await ann.message('A slip').count(), 1);
  await ann.remove('A slip');
  await bob.message('A slip').waitFor({ state: 'detached' });

  await ann.write('Mine');
  await bob.remove('Mine');
  assert.equal(await ann.message('Mine').count(), 1);
});

test('each thread keeps what was begun there', async () => {
  await carol.send(ann, 'Hello from Carol');
  await ann.hasUnread(1);
  await ann.box.fill('To be continued');
  await ann.openThread('Carol Clay');
  await ann.hasUnread(0);
  assert.equal(await ann.box.inputValue(), '');
  await ann.box.fill('Something else');
  await ann.openThread('Bob Burns');
  await untilEqual('the first is there', () => ann.box.inputValue(), 'To be continued');
  const tab = await ann.openTab();
  await tab.openThread('Carol Clay');
  await untilEqual('also in another tab', () => tab.box.inputValue(), 'Something else');
  await tab.page.close();
  await ann.box.fill('');
});

test('what was sent is listed, what is put away comes back, and what is searched is found', async () => {
  await ann.openFolder('Sent');
  await ann.messageRows.filter({ hasText: 'Then at one' }).first().click();
  await ann.isAt('Bob Burns');

  await ann.openFolder('Inbox');
  await ann.openThread('Carol Clay');
  await (await ann.openDetails()).getByRole('button', { name: 'Archive' }).click();
  await ann.page.keyboard.press('Escape');
  await ann.row('Carol Clay').waitFor({ state: 'detached' });
  await ann.openFolder('Archive');
  await ann.openThread('Carol Clay');
  await (await ann.openDetails()).getByRole('button', { name: 'Move to inbox' }).click();
  await ann.page.keyboard.press('Escape');
  await ann.row('Carol Clay').waitFor({ state: 'detached' });
  await ann.openFolder('Inbox');
  await ann.row('Carol Clay').waitFor();

  await ann.search('from carol');
  await ann.messageRows.filter({ hasText: 'Hello from Carol' }).click();
  await ann.isAt('Carol Clay');
  await ann.message('Hello from Carol').waitFor();
  await ann.search('');
  await ann.openThread('Bob Burns');
});

test('what is read in one tab is read in all', async () => {
  await bob.go('#/');
  const tab = await bob.openTab();
  await tab.isLive();
  await ann.openThread('Bob Burns');
  await ann.write('In two tabs');
  await Promise.all([bob.hasUnread(1), tab.hasUnread(1)]);
  await bob.openThread('Ann Arbor');
  await Promise.all([bob.hasUnread(0), tab.hasUnread(0)]);
  await tab.row('Ann Arbor').locator('.badge').waitFor({ state: 'hidden' });
  await tab.page.close();
});

test('another name is shown', async () => {
  const profile = await ann.openProfile();
  await profile.getByLabel('Full name').fill('Ann Newname');
  await profile.getByRole('button', { name: 'Save' }).click();
  await ann.page.keyboard.press('Escape');
  await bob.page.reload();
  await bob.openThread('Ann Newname');
  ann.fullName = 'Ann Newname';
});

test('logging out ends the session in every tab, logging in begins it in every tab', async () => {
  const tab = await bob.openTab();
  await tab.isLive();
  // The other tab must hear it from its node, not from this one.
  await tab.page.evaluate(() => (BroadcastChannel.prototype.postMessage = () => {}));
  await tab.logOut();
  await bob.isOut();
  await ann.openThread('Bob Burns');
  await ann.write('After hours');
  await ann.isMarked('After hours', 'stored');
  assert.equal(await bob.page.locator('article.message, a.row').count(), 0);
  assert.equal(await bob.page.title(), 'Switchboard');
  await bob.logIn();
  await tab.isLive();
  await tab.page.close();
});
