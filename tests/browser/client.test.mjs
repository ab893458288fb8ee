// `switchboard.js` in a real browser, on two nodes of one cluster behind something that goes wrong.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test client.test.mjs
//
// With SWITCHBOARD_TOKEN, that of some user, it tries Node too; with SWITCHBOARD_VICTIM, the process of the first node, it
// kills that in the end.

import assert from 'node:assert/strict';
import { randomBytes, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Front } from './front.mjs';
import { launch, nodes, until } from './people.mjs';
import { WebSocket } from 'ws';
import { Switchboard } from '../../crates/web/client/switchboard.js';

// Debian's Node is older than what the client asks for, and lacks this name alone.
globalThis.crypto ??= webcrypto;

/** As long as a client may take to find out that something better works again, in milliseconds. */
const CLIMB_MS = 60_000;

/** A page with nothing but the client, which keeps what it hears. */
const BLANK = `<!doctype html><title>blank</title><script type="module">
  import { Switchboard } from '/client/switchboard.js';
  const client = new Switchboard();
  const heard = { received: [], sent: [], states: [], typing: 0 };
  client.on('new_message', ({ data }) => heard.received.push(data.content));
  client.on('message_sent', ({ data }) => heard.sent.push(data.content));
  client.on('state', ({ name, transport = '' }) => heard.states.push(name + transport));
  client.on('typing', ({ is_typing }) => heard.typing += Number(is_typing));
  Object.assign(window, { client, heard });
  client.connect().catch(() => {});
</script>`;

/** A user with a browser of their own. */
class User {
  static async meet(browser, front) {
    const user = new User();
    user.front = front;
    user.context = await browser.newContext();
    user.account = { username: `u${randomBytes(8).toString('hex')}`, password: randomBytes(12).toString('base64url') };
    const { request } = user.context;
    const headers = { 'X-Requested-With': 'test' };
    await request.post(`${front.url}/api/v1/auth/register`, { data: user.account, headers });
    user.id = (await (await request.post(`${front.url}/api/v1/auth/login`, { data: user.account, headers })).json()).id;
    return user;
  }

  async open(path = '/blank') {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => assert.fail(error));
    await page.goto(this.front.url + path);
    return page;
  }
}

const is = (page, name, ms) =>
  until(`the client is ${name}`, () => page.evaluate(() => window.client?.state.name + (window.client?.state.transport ?? '')).then((now) => now === name), ms);
const received = (page) => page.evaluate(() => window.heard.received);
const has = (page, contents, ms) =>
  until(`${contents} are heard`, async () => JSON.stringify(await received(page)) === JSON.stringify(contents), ms);
const send = (page, recipient_id, content) =>
  page.evaluate((draft) => void window.client.send(draft), { recipient_id, content });

let browser, front, other, ann, bob, bobsPage;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  [front, other] = await Promise.all([Front.to(first), Front.to(second)]);
  for (const each of [front, other]) each.page('/blank', BLANK);
  [ann, bob] = await Promise.all([User.meet(browser, front), User.meet(browser, other)]);
  bobsPage = await bob.open();
  await is(bobsPage, 'livewebsocket');
});

after(async () => {
  await browser?.close();
  front?.close();
  other?.close();
});

/** What bob has heard so far; each test adds to it. */
const said = [];

test('the example of the documentation works in a blank file', async () => {
  const text = await readFile(new URL('../../crates/web/client/README.md', import.meta.url), 'utf8');
  const [, example] = text.match(/```html\n([^]*?)```/);
  assert.ok(example.trimEnd().split('\n').length <= 10, 'it has ten lines');
  front.page('/example', example);
  const page = await ann.open('/example');
  await page.getByLabel('To').fill(String(bob.id));
  await page.getByLabel('Message').fill('from the example');
  await page.keyboard.press('Enter');
  said.push('from the example');
  await has(bobsPage, said);
  await send(bobsPage, ann.id, 'back');
  await page.getByText('back').waitFor();
  await page.close();
});

test('what is written offline outlives the page, and arrives once', async () => {
  const page = await ann.open();
  await is(page, 'livewebsocket');
  await ann.context.setOffline(true);
  await send(page, bob.id, 'offline 1');
  await send(page, bob.id, 'offline 2');
  await until('both are kept', () => page.evaluate(() => window.client.outbox.length === 2));
  await page.close();
  await ann.context.setOffline(false);
  const next = await ann.open();
  said.push('offline 1', 'offline 2');
  await has(bobsPage, said);
  await until('the outbox is empty', () => next.evaluate(() => window.client.outbox.length === 0));
  assert.deepEqual(await next.evaluate(() => window.heard.states.at(-1)), 'livewebsocket');
  await next.close();
});

test('where a proxy lets no WebSocket through it polls, and climbs back when it does', async () => {
  front.isOldFashioned = true;
  const page = await ann.open();
  await is(page, 'pollingpoll', CLIMB_MS);
  await send(bobsPage, ann.id, 'by poll');
  await has(page, ['by poll']);
  await send(page, bob.id, 'over http');
  said.push('over http');
  await has(bobsPage, said);
  front.isOldFashioned = false;
  await is(page, 'livewebsocket', CLIMB_MS);
  await send(bobsPage, ann.id, 'by socket');
  await has(page, ['by poll', 'by socket']);
  await page.close();
});

test('three tabs have one socket; another takes over from the one that closes', async () => {
  const pages = [];
  for (let n = 0; n < 3; n += 1) pages.push(await ann.open());
  for (const page of pages) await is(page, 'livewebsocket');
  assert.equal(front.webSockets.size, 1);
  await send(bobsPage, ann.id, 'to all');
  for (const page of pages) await has(page, ['to all']);
  // Of a tab that does not lead.
  await send(pages[2], bob.id, 'of the third');
  said.push('of the third');
  await has(bobsPage, said);
  await Promise.all([pages[0].close(), send(bobsPage, ann.id, 'meanwhile')]);
  await send(bobsPage, ann.id, 'after it');
  for (const page of pages.slice(1)) await has(page, ['to all', 'meanwhile', 'after it']);
  assert.equal(front.webSockets.size, 1);
  for (const page of pages) await page.close();
});

test('after a sleep in which the line died it is live again, and nothing is missing', async () => {
  const page = await ann.open();
  await is(page, 'livewebsocket');
  const session = await ann.context.newCDPSession(page);
  const missed = [];
  // What a browser says when the machine wakes up, or somebody looks at the page again.
  for (const [target, event] of [['window', 'online'], ['document', 'visibilitychange']]) {
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    front.silence();
    missed.push(`before ${event}`);
    await send(bobsPage, ann.id, missed.at(-1));
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await page.evaluate(([of, name]) => window[of].dispatchEvent(new Event(name)), [target, event]);
    await has(page, missed);
    await is(page, 'livewebsocket');
  }
  await page.close();
});

test('a log-out ends every tab', async () => {
  const carol = await User.meet(browser, front);
  const pages = [await carol.open(), await carol.open(), await carol.open()];
  for (const page of pages) await is(page, 'livewebsocket');
  await pages[1].evaluate(() => window.client.logOut());
  for (const page of pages) await is(page, 'signed out');
  await until('no socket of hers is left', () => front.webSockets.size === 0);
  await carol.context.close();
});

test('in Node it takes the sockets that it is given, or streams', { skip: !process.env.SWITCHBOARD_TOKEN }, async () => {
  const page = await ann.open();
  await is(page, 'livewebsocket');
  const heard = [];
  for (const [transport, options] of Object.entries({ websocket: { WebSocket }, stream: { environment: { WebSocket: undefined } } })) {
    const client = new Switchboard({ url: nodes()[1], token: process.env.SWITCHBOARD_TOKEN, ...options });
    client.on('new_message', ({ data }) => heard.push(data.content));
    const me = await client.connect();
    assert.equal(client.state.transport, transport);
    await client.send({ recipient_id: ann.id, content: `from Node by ${transport}` });
    await send(page, me.id, `to Node by ${transport}`);
    await until('it is heard', () => heard.includes(`to Node by ${transport}`));
    client.close();
  }
  await has(page, ['from Node by websocket', 'from Node by stream']);
  await page.close();
});

test('a node that dies while somebody types costs nothing', async () => {
  const page = await ann.open();
  await is(page, 'livewebsocket');
  await page.evaluate((recipient_id) => window.client.typing({ recipient_id }), bob.id);
  await until('bob sees that', () => bobsPage.evaluate(() => window.heard.typing > 0));
  front.turnTo(nodes()[1]);
  const { SWITCHBOARD_VICTIM: pid } = process.env;
  if (pid) process.kill(Number(pid), 'SIGKILL');
  else front.cut();
  await send(page, bob.id, 'typed meanwhile');
  said.push('typed meanwhile');
  await has(bobsPage, said);
  await is(page, 'livewebsocket');
  await send(bobsPage, ann.id, 'are you there?');
  await has(page, ['are you there?']);
  await page.close();
});
