// Several pages of one user in one browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service } from './world.js';

async function begin(n_pages, options) {
  const clock = new Clock();
  const service = new Service(clock);
  const browser = new Browser(service, clock, () => 0.5);
  const pages = [];
  const open = async () => {
    const client = new Switchboard({ url: 'http://service', environment: browser.page(options) });
    const entries = [];
    client.on('entry', ({ seq }) => entries.push(seq));
    client.connect().catch(() => {});
    await clock.advance(500);
    pages.push({ client, entries });
  };
  for (let n = 0; n < n_pages; n += 1) await open();
  return { clock, service, browser, pages, open };
}

const heard = (pages) => pages.map(({ entries }) => entries);

test('three pages have one socket, and each hears everything', async () => {
  const { clock, service, pages } = await begin(3);
  for (const content of ['a', 'b', 'c']) service.receive(content);
  await clock.advance(100);
  assert.deepEqual(heard(pages), [[1, 2, 3], [1, 2, 3], [1, 2, 3]]);
  assert.equal(service.sockets.size, 1);
  assert.deepEqual(pages.map(({ client }) => client.state.name), ['live', 'live', 'live']);
});

test('a state is told once', async () => {
  const { clock, pages } = await begin(2);
  const states = [];
  pages[1].client.on('state', ({ name }) => states.push(name));
  await clock.advance(600_000);
  assert.deepEqual(states, []);
});

test('when the page closes that leads, another takes over without a gap', async () => {
  const { clock, service, pages } = await begin(3);
  service.receive('a');
  pages[0].client.close();
  service.receive('b');
  await clock.advance(20);
  service.receive('c');
  await clock.advance(1_000);
  assert.deepEqual(heard(pages.slice(1)), [[1, 2, 3], [1, 2, 3]]);
  assert.equal(service.sockets.size, 1);
});

test('a page that opens later begins where the mailbox stands', async () => {
  const { clock, service, pages, open } = await begin(1);
  service.receive('a');
  await open();
  service.receive('b');
  await clock.advance(100);
  assert.deepEqual(heard(pages), [[1, 2], [2]]);
});

test('what a page missed it asks the service for', async () => {
  const { clock, service, pages, open } = await begin(1);
  // The second page knows where the mailbox stands before the first does.
  service.frames = ['lose'];
  service.receive('a');
  await open();
  pages[1].client.close();
  await open();
  service.receive('b');
  await clock.advance(5_000);
  assert.deepEqual(heard([pages[0], pages[2]]), [[1, 2], [2]]);
});

test('messages of all pages are sent by the one that leads, and each page is told', async () => {
  const { clock, service, pages } = await begin(3);
  const sent = pages.map(({ client }, page) => client.send({ recipient_id: 2, content: `of page ${page}` }));
  await clock.advance(1_000);
  assert.deepEqual((await Promise.all(sent)).map(({ content }) => content), ['of page 0', 'of page 1', 'of page 2']);
  assert.equal(service.messages.size, 3);
  assert.deepEqual(pages.map(({ client }) => client.outbox.length), [0, 0, 0]);
});

test('a message of a page that closed is sent by another', async () => {
  const { clock, service, pages } = await begin(2);
  service.faults.http = true;
  service.drop();
  pages[0].client.send({ recipient_id: 2, content: 'a' }).catch(() => {});
  await clock.advance(100);
  pages[0].client.close();
  service.faults.http = false;
  await clock.advance(2_000);
  assert.deepEqual([service.messages.size, pages[1].client.outbox.length], [1, 0]);
});

test('a log-out ends every page', async () => {
  const { clock, service, pages } = await begin(3);
  pages[1].client.logOut();
  await clock.advance(1_000);
  assert.deepEqual(pages.map(({ client }) => client.state.name), ['signed out', 'signed out', 'signed out']);
  assert.deepEqual([service.sockets.size, clock.n_timers], [0, 0]);
});

test('a session that was ended elsewhere ends every page', async () => {
  const { clock, service, pages } = await begin(3);
  service.faults.session = true;
  service.drop(4403);
  await clock.advance(1_000);
  assert.deepEqual(pages.map(({ client }) => client.state.name), ['signed out', 'signed out', 'signed out']);
});

test('where another user logs in, nothing is asked in their name, and every page ends at the next request', async () => {
  for (const ask of [
    (client) => client.request('GET', '/conversations'),
    (client) => client.upload(new Blob(['x'])),
    (client) => client.markRead({ message_id: 1 }),
    (client) => client.logOut().then(() => Promise.reject({ code: 'unauthorized' })),
  ]) {
    for (const page of [0, 1]) {
      const { clock, service, pages } = await begin(3);
      service.user = { id: 2, username: 'bob', full_name: '' };
      service.granted = [];
      const refused = assert.rejects(ask(pages[page].client), { code: 'unauthorized' });
      await clock.advance(1_000);
      await refused;
      assert.deepEqual(pages.map(({ client }) => client.state.name), ['signed out', 'signed out', 'signed out']);
      assert.deepEqual([service.granted, service.sockets.size, clock.n_timers], [[], 0, 0]);
      // What is asked too late is not answered as another's either.
      const late = assert.rejects(pages[page].client.request('GET', '/conversations'), { code: 'unauthorized' });
      await clock.advance(100);
      await late;
      pages[page].client.connect();
      await clock.advance(1_000);
      assert.deepEqual([pages[page].client.me.id, service.granted[0]], [2, 'GET /me as bob for anybody']);
    }
  }
});

test('a reset reaches every page once', async () => {
  const { clock, service, pages } = await begin(2);
  const resets = [0, 0];
  pages.forEach(({ client }, page) => client.on('reset', () => (resets[page] += 1)));
  for (const content of ['a', 'b', 'c']) service.receive(content);
  await clock.advance(100);
  service.restore(1);
  await clock.advance(1_000);
  service.receive('other');
  await clock.advance(1_000);
  assert.deepEqual(resets, [1, 1]);
  assert.deepEqual(heard(pages), [[1, 2, 3, 2], [1, 2, 3, 2]]);
});

test('without locks or channels each page is for itself', async () => {
  const { clock, service, pages } = await begin(2, { tabs: false, shared: false });
  service.receive('a');
  const sent = pages.map(({ client }) => client.send({ recipient_id: 2, content: 'b' }));
  await clock.advance(1_000);
  await Promise.all(sent);
  assert.deepEqual(heard(pages), [[1, 2, 3], [1, 2, 3]]);
  assert.deepEqual([service.sockets.size, service.messages.size], [2, 2]);
});
