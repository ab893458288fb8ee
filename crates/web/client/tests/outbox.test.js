// What is sent: kept until the service has it, in order, stored once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service, settle } from './world.js';

/** A page, and another one on the same browser after a reload. */
async function begin() {
  const clock = new Clock();
  const service = new Service(clock);
  const browser = new Browser(service, clock, () => 0.5);
  const open = async () => {
    const client = new Switchboard({ url: 'http://service', environment: browser.page() });
    client.connect().catch(() => {});
    await clock.advance(500);
    return client;
  };
  return { clock, service, open, client: await open() };
}

const stored = (service) => service.entries.filter(({ type }) => type === 'message_sent').map(({ data }) => data.content);
const pending = (client) => client.outbox.map(({ content, failure }) => (failure ? `${content}: ${failure.code}` : content));

test('a message is shown at once, and gone from the outbox when it is stored', async () => {
  const { clock, service, client } = await begin();
  const shown = [];
  client.on('outbox', (items) => shown.push(items.map(({ content }) => content)));
  const sending = client.send({ recipient_id: 2, content: 'a' });
  await settle();
  assert.deepEqual(pending(client), ['a']);
  await clock.advance(100);
  assert.equal((await sending).content, 'a');
  assert.deepEqual([stored(service), pending(client)], [['a'], []]);
  assert.deepEqual([shown[0], shown.at(-1)], [['a'], []]);
});

test('those of a conversation arrive in the order of writing, others do not wait for them', async () => {
  const { clock, service, client } = await begin();
  service.refusals = ['store_unavailable', undefined, 'rate_limited'];
  for (const content of ['a1', 'a2', 'a3']) client.send({ recipient_id: 2, content });
  client.send({ conversation_id: 9, content: 'b1' });
  await clock.advance(10_000);
  assert.deepEqual(stored(service), ['b1', 'a1', 'a2', 'a3']);
});

test('what was written without a connection is sent with the next one, once', async () => {
  const { clock, service, client } = await begin();
  service.faults.http = true;
  service.drop();
  for (const content of ['a', 'b', 'c']) client.send({ recipient_id: 2, content });
  await clock.advance(60_000);
  assert.deepEqual([stored(service), pending(client)], [[], ['a', 'b', 'c']]);
  service.faults.http = false;
  await clock.advance(25_000);
  assert.deepEqual([stored(service), pending(client)], [['a', 'b', 'c'], []]);
});

test('an answer that is lost at every point makes no second message', async () => {
  for (let at = 0; at < 30; at += 1) {
    const { clock, service, client } = await begin();
    const sending = client.send({ recipient_id: 2, content: 'a' });
    client.send({ recipient_id: 2, content: 'b' });
    clock.setTimeout(() => service.drop(), at);
    await clock.advance(20_000);
    assert.deepEqual([stored(service), pending(client)], [['a', 'b'], []], `cut after ${at} ms`);
    assert.equal((await sending).content, 'a');
  }
});

test('it outlives a reload', async () => {
  const { clock, service, client, open } = await begin();
  service.faults.http = true;
  service.drop();
  client.send({ recipient_id: 2, content: 'a' }).catch(() => {});
  client.send({ recipient_id: 2, content: 'b' }).catch(() => {});
  await clock.advance(1_000);
  client.close();
  service.faults.http = false;
  const next = await open();
  await clock.advance(1_000);
  assert.deepEqual([stored(service), pending(next)], [['a', 'b'], []]);
});

test('a final error fails it, for a retry or to be discarded, and holds up nothing', async () => {
  const { clock, service, client } = await begin();
  service.refusals = ['content_too_large', undefined, 'unknown_recipient'];
  const [first, , third] = ['a', 'b', 'c'].map((content) => client.send({ recipient_id: 2, content }));
  await clock.advance(1_000);
  await assert.rejects(first, { code: 'content_too_large' });
  await assert.rejects(third, { code: 'unknown_recipient' });
  assert.deepEqual([stored(service), pending(client)], [['b'], ['a: content_too_large', 'c: unknown_recipient']]);
  const [a, c] = client.outbox;
  await client.retry(a.id);
  await client.discard(c.id);
  await clock.advance(1_000);
  assert.deepEqual([stored(service), pending(client)], [['b', 'a'], []]);
});

test('while it polls, messages go over HTTP', async () => {
  const { clock, service, client } = await begin();
  service.faults.sockets = service.faults.streams = true;
  service.drop();
  await clock.advance(20_000);
  assert.equal(client.state.name, 'polling');
  service.refusals = ['rate_limited', undefined, 'content_too_large'];
  const [a, b] = ['a', 'b'].map((content) => client.send({ recipient_id: 2, content }));
  await clock.advance(6_000);
  assert.equal((await a).content, 'a');
  await assert.rejects(b, { code: 'content_too_large' });
  assert.equal(service.requests.filter((request) => request === 'POST /messages').length, 3);
});

test('a draft without a recipient is the mistake of a program', async () => {
  const { client } = await begin();
  await assert.rejects(client.send({ content: 'a' }), TypeError);
  await assert.rejects(client.send({ recipient_id: 1, conversation_id: 2, content: 'a' }), TypeError);
});

test('typing is told every three seconds at most, and once when it ends', async () => {
  const { clock, service, client } = await begin();
  const told = [];
  const [socket] = service.sockets;
  const send = socket.send.bind(socket);
  socket.send = (text) => (text.includes('typing') && told.push(JSON.parse(text).is_typing), send(text));
  for (let n = 0; n < 40; n += 1) {
    client.typing({ recipient_id: 2 });
    await clock.advance(100);
  }
  client.typing({ recipient_id: 2 }, false);
  client.typing({ recipient_id: 2 }, false);
  assert.deepEqual(told, [true, true, false]);
});
