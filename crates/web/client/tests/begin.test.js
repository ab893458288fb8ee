// How a page begins: it learns who this is, and what the service takes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service } from './world.js';

/** Opens pages of one browser; `told` is what each one said, in order. */
function begin() {
  const clock = new Clock();
  const service = new Service(clock);
  const browser = new Browser(service, clock, () => 0.5);
  const open = (change = () => ({})) => {
    const environment = browser.page();
    const client = new Switchboard({ url: 'http://service', environment: { ...environment, ...change(environment) } });
    const told = [];
    client.on('me', ({ id }) => told.push(`me ${id}, ${client.me.id}, ${client.outbox.map(({ content }) => content)}`));
    client.on('entry', ({ seq }) => told.push(seq));
    client.on('state', ({ name }) => told.push(name));
    client.connect().catch(() => {});
    return { client, told };
  };
  return { clock, service, open };
}

/** A storage that takes its time. */
const slow = (clock) => (environment) => ({
  openStorage: async (name) => {
    const storage = await environment.openStorage(name);
    const load = async () => (await new Promise((resolve) => clock.setTimeout(resolve, 50)), storage.load());
    return { ...storage, load };
  },
});

test('it says who this is when the outbox is read, before it is connected, each time', async () => {
  const { clock, service, open } = begin();
  const first = open();
  await clock.advance(500);
  service.faults.http = true;
  service.drop();
  first.client.send({ recipient_id: 2, content: 'kept' });
  await clock.advance(100);
  first.client.close();
  service.faults.http = false;
  service.faults.sockets = true;
  const { client, told } = open();
  await clock.advance(15);
  assert.deepEqual([told, client.state.name], [['connecting', 'me 1, 1, kept'], 'connecting']);
  service.faults.sockets = false;
  await clock.advance(5_000);
  client.close();
  client.connect();
  await clock.advance(500);
  assert.deepEqual(told.slice(-4), ['closed', 'connecting', 'me 1, 1, ', 'live']);
});

test('what is written before it is known who this is goes out once that is known, in order', async () => {
  const { clock, service, open } = begin();
  service.faults.http = true;
  const { client } = open();
  const sent = ['one', 'two'].map((content) => client.send({ recipient_id: 2, content }));
  await clock.advance(1_000);
  service.faults.http = false;
  await clock.advance(30_000);
  assert.deepEqual((await Promise.all(sent)).map(({ content }) => content), ['one', 'two']);
  service.faults.http = true;
  const other = open();
  const lost = other.client.send({ recipient_id: 2, content: 'for nobody' });
  other.client.close();
  await assert.rejects(lost, { code: 'closed' });
  await assert.rejects(other.client.send({ recipient_id: 2, content: 'after' }), { code: 'closed' });
});

test('a page that is fed is told no entry before it knows who it is, and misses none', async () => {
  const { clock, service, open } = begin();
  const { told } = open();
  await clock.advance(500);
  const other = open(slow(clock));
  await clock.advance(30);
  service.receive('a');
  await clock.advance(10);
  assert.deepEqual([told.at(-1), other.told], [1, ['connecting']]);
  await clock.advance(1_000);
  assert.deepEqual(other.told, ['connecting', 'me 1, 1, ', 'live', 1]);
});

test('who closes it when told who it is has closed it', async () => {
  const { clock, service, open } = begin();
  for (const event of ['unread', 'me', 'outbox']) {
    const { client } = open();
    client.on(event, () => client.close());
    await clock.advance(1_000);
    assert.deepEqual([client.state.name, service.sockets.size, clock.n_timers], ['closed', 0, 0], event);
  }
});

test('the limits are those of the node, on every page, and before it tells them those of any', async () => {
  const { clock, service, open } = begin();
  service.limits = { content_bytes: 100, new_ones: 1 };
  const { client } = open();
  assert.deepEqual([client.limits.content_bytes, client.limits.attachment_bytes], [32_768, 26_214_400]);
  await clock.advance(500);
  const later = open().client;
  await clock.advance(500);
  for (const { limits } of [client, later]) assert.deepEqual([limits.content_bytes, limits.subject_chars], [100, 255]);
  // The one that was fed feeds another.
  client.close();
  service.faults.sockets = service.faults.streams = true;
  await clock.advance(20_000);
  const last = open().client;
  await clock.advance(500);
  assert.deepEqual([later.state.name, last.limits.content_bytes], ['polling', 100]);
});
