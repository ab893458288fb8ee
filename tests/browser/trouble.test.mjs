// What somebody sees at the page while the line to their node is cut, silent, or loses answers: where their messages are, and
// that none is lost or doubled. How the client mends it is tested with the client.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test trouble.test.mjs

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { Gate } from './gate.mjs';
import { Line } from './line.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

let browser, line, ann, bob;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  line = await Line.to(second);
  ann = await Person.meet(browser, first, 'Ann Arbor');
  bob = await Person.meet(browser, line.url, 'Bob Burns');
  await ann.account.send(bob, 'Hello');
  await Promise.all([ann.openThread('Bob Burns'), bob.openThread('Ann Arbor')]);
  await bob.hasUnread(0);
});

afterEach(async () => {
  await ann.behavedWell();
  await bob.behavedWell();
});

after(async () => {
  await browser?.close();
  line?.close();
});

const once = async (text) => {
  for (const person of [ann, bob]) await untilEqual(`${text}, once`, () => person.message(text).count(), 1);
};
const stateText = (tab) => tab.page.locator('#state').textContent();

test('a cut line is told, and mended: what was written on either side meanwhile appears, once', async () => {
  assert.equal(await stateText(bob), '');
  line.cut();
  await bob.isInState('reconnecting');
  await until('it says so', async () => (await stateText(bob)).trim() !== '');
  await ann.write('Written to who is away');
  await bob.write('Written while cut');
  await bob.isMarked('Written while cut', 'pending');
  await ann.isMarked('Written to who is away', 'stored');
  line.mend();
  await bob.isLive();
  assert.equal(await stateText(bob), '');
  await bob.message('Written to who is away').waitFor();
  await bob.isMarked('Written while cut', 'read');
  await ann.isMarked('Written to who is away', 'read');
  await once('Written to who is away');
  await once('Written while cut');
});

test('what is written without a network waits, and is sent in its order', async () => {
  await bob.context.setOffline(true);
  await bob.isInState('offline');
  for (const text of ['first', 'second', 'third']) {
    await bob.write(text);
    await bob.isMarked(text, 'pending');
  }
  await bob.context.setOffline(false);
  line.cut();
  line.mend();
  await bob.isLive();
  for (const text of ['first', 'second', 'third']) await ann.message(text).waitFor();
  assert.deepEqual((await ann.texts()).slice(-3), ['first', 'second', 'third']);
  await untilEqual('they are in their order here too', async () => (await bob.texts()).slice(-3), ['first', 'second', 'third']);
});

test('what is on its way is there after a reload too', async () => {
  const gate = await Gate.into(bob);
  gate.letsOut = false;
  await bob.write('Over a reload');
  await until('it went out', () => gate.sent.length === 1);
  await bob.isMarked('Over a reload', 'pending');
  await bob.page.reload();
  await bob.isMarked('Over a reload', 'pending');
  gate.letsOut = true;
  await until('it goes out again', () => gate.sent.length === 2);
  await gate.end();
  await ann.message('Over a reload').waitFor();
  await bob.isMarked('Over a reload', 'read');
  await once('Over a reload');
});

test('a line that went silent is noticed when the network comes back', async () => {
  line.silence();
  await ann.write('While silent');
  await ann.isMarked('While silent', 'stored');
  await bob.context.setOffline(true);
  await bob.isInState('offline');
  await bob.context.setOffline(false);
  await bob.message('While silent').waitFor();
  await bob.isLive();
  await once('While silent');
});

test('a message whose answer was lost is sent again under the same id, and is there once', async () => {
  const gate = await Gate.into(bob);
  gate.letsOut = false;
  await bob.write('Thrice');
  await until('it went out', () => gate.sent.length === 1);
  [gate.letsOut, gate.letsIn] = [true, false];
  await gate.end();
  await until('it went out again', () => gate.sent.length === 2);
  await ann.message('Thrice').waitFor();
  await bob.isMarked('Thrice', 'pending');
  gate.letsIn = true;
  await gate.end();
  await bob.isMarked('Thrice', 'read');
  assert.equal(new Set(gate.sent.map(({ client_message_id }) => client_message_id)).size, 1);
  await untilEqual('nothing is on its way', () => bob.thread.locator('article.outgoing').count(), 0);
  line.cut();
  await bob.isInState('reconnecting');
  line.mend();
  await bob.isLive();
  await once('Thrice');
});

test('what the node refuses for good stays, to be tried again or discarded', async () => {
  await ann.account.request('PUT', `/blocks/${bob.id}`);
  await bob.write('Not wanted');
  await bob.isMarked('Not wanted', 'failed');
  const outgoing = bob.thread.locator('article.message.outgoing');
  await ann.account.request('DELETE', `/blocks/${bob.id}`);
  await outgoing.getByRole('button', { name: 'Try again' }).click();
  await ann.message('Not wanted').waitFor();
  await once('Not wanted');

  await ann.account.request('PUT', `/blocks/${bob.id}`);
  await bob.write('Given up');
  await bob.isMarked('Given up', 'failed');
  await outgoing.getByRole('button', { name: 'Discard' }).click();
  await bob.message('Given up').waitFor({ state: 'detached' });
  await ann.account.request('DELETE', `/blocks/${bob.id}`);
});

test('where what is shown is of no use any more, it is loaded anew', async () => {
  const gate = await Gate.into(ann);
  await ann.message('Thrice').waitFor();
  const lists = ann.page.waitForRequest(/\/api\/v1\/conversations\?/);
  const thread = ann.page.waitForRequest(/\/api\/v1\/conversations\/\d+\/messages/);
  gate.say({ type: 'reset', cursor: Number(gate.urls.at(-1).searchParams.get('cursor')), epoch: 'another' });
  await Promise.all([lists, thread]);
  await ann.message('Thrice').waitFor();
  await once('Thrice');
});

test('a session that ended elsewhere shows the way in again, and nothing of what there was', async () => {
  await bob.account.request('POST', '/auth/logout');
  await bob.isOut();
  assert.equal(await bob.page.locator('article.message, a.row').count(), 0);
  await bob.logIn();
  await bob.row('Ann Arbor').waitFor();
});

test('where somebody else logs in in the browser, nothing of theirs is shown as the first one’s', async () => {
  const cora = await Person.meet(browser, nodes()[0], 'Cora Cole');
  const dan = await Account.make(nodes()[0], 'Dan Drew');
  await dan.send(ann, 'Written by Dan');
  const tab = await cora.openTab();
  await tab.isLive();
  const { username, password } = dan;
  const status = await tab.page.evaluate(async (body) => {
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch('/api/v1/auth/login', { method: 'POST', headers, body })).status;
  }, JSON.stringify({ username, password }));
  assert.equal(status, 200);
  await cora.page.evaluate(() => {
    const look = () => /Written by Dan|Dan Drew/.test(document.body.textContent) && (sessionStorage.leaked = 'yes');
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    window.isCoras = true;
  });
  await cora.page.getByRole('tab', { name: 'Sent' }).click();
  for (const each of [cora, tab]) {
    await each.row('Ann Arbor').waitFor();
    assert.deepEqual(await each.page.evaluate(() => [window.isCoras, sessionStorage.leaked]), [undefined, undefined]);
  }
  await cora.context.close();
});
