// What goes wrong rarely, and must cost nothing all the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service } from './world.js';

const HOUR = 3_600_000;

/** Pages on one browser; `change` makes the environment of each another one. */
async function begin(n_pages = 1, { change = () => ({}), prepare = () => {}, tabs, shared, ...options } = {}) {
  const clock = new Clock();
  const service = new Service(clock);
  prepare(service);
  const browser = new Browser(service, clock, () => 0.5);
  const pages = [];
  for (let nth = 0; nth < n_pages; nth += 1) {
    const environment = browser.page({ tabs, shared });
    Object.assign(environment, change({ ...environment }, clock));
    const client = new Switchboard({ url: 'http://service', environment, ...options });
    const page = { client, environment, entries: [], resets: 0 };
    client.on('entry', ({ seq }) => page.entries.push(seq));
    client.on('reset', () => (page.resets += 1));
    client.connect().catch(() => {});
    await clock.advance(500);
    pages.push(page);
  }
  return { clock, service, browser, pages, client: pages[0].client };
}

const stored = (service) => [...service.messages.values()].map(({ data }) => data.content);
const failures = (client) => client.outbox.map(({ failure }) => failure?.code);
const file = () => new Blob(['x']);

/** A storage of which one call in `spoil` fails once. */
const spoiled = (spoil) => (environment) => ({
  openStorage: async (name) => {
    const storage = await environment.openStorage(name);
    const call = (method) => async (argument) => {
      if (spoil[method]?.(argument)) throw new Error(`${method} failed`);
      return storage[method](argument);
    };
    return { ...storage, load: call('load'), put: call('put') };
  },
});

test('who closes it while hearing of its state has closed it', async () => {
  const { clock, service, client } = await begin();
  client.on('state', ({ name }) => name === 'reconnecting' && client.close());
  service.drop();
  await clock.advance(20_000);
  assert.deepEqual([client.state.name, service.sockets.size, clock.n_timers], ['closed', 0, 0]);
});

test('a message is not failed by a token that expired', async () => {
  let n_tokens = 0;
  const token = () => `t${(n_tokens += 1)}`;
  const { clock, service, client } = await begin(1, { token, change: () => ({ WebSocket: undefined }) });
  service.expired.add('t1');
  client.send({ recipient_id: 2, content: 'a' });
  await clock.advance(5_000);
  assert.deepEqual([stored(service), failures(client)], [['a'], []]);
});

test('files are uploaded with another token where one has expired', async () => {
  let n_tokens = 0;
  const { clock, service, client } = await begin(1, { token: () => `t${(n_tokens += 1)}` });
  service.expired.add('t1');
  client.send({ recipient_id: 2, content: 'a', files: [file()] });
  await clock.advance(5_000);
  assert.deepEqual([stored(service), n_tokens], [['a'], 2]);
});

test('a page that does not lead gets another token by itself', async () => {
  let n_tokens = 0;
  const { clock, service, pages } = await begin(2, { token: () => `t${(n_tokens += 1)}` });
  for (let nth = 1; nth <= n_tokens; nth += 1) service.expired.add(`t${nth}`);
  const page = pages[1].client.history(1).then(() => 'answered');
  await clock.advance(5_000);
  assert.equal(await page, 'answered');
});

test('a token that cannot be had now is asked for again', async () => {
  let isThere = false;
  const token = async () => {
    if (!isThere) throw new TypeError('no network');
    return 't';
  };
  const { clock, client } = await begin(1, { token });
  assert.equal(client.state.name, 'reconnecting');
  isThere = true;
  await clock.advance(30_000);
  assert.equal(client.state.name, 'live');
});

test('nothing is sent in the name of another user who logged in meanwhile', async () => {
  for (const faults of [{}, { sockets: true }, { sockets: true, streams: true }]) {
    const { clock, service, client } = await begin();
    service.faults.http = true;
    service.drop();
    client.send({ recipient_id: 2, content: 'by ann' });
    await clock.advance(2_000);
    service.user = { id: 2, username: 'bob', full_name: '' };
    Object.assign(service.faults, { http: false, ...faults });
    await clock.advance(60_000);
    assert.deepEqual([client.state.name, stored(service)], ['signed out', []]);
  }
});

test('a refusal ends nothing while the credentials count, or nobody can tell', async () => {
  const change = ({ fetch }) => ({
    fetch: (url, init) => (url.pathname.endsWith('/odd') ? Response.json({ code: 'unauthorized' }, { status: 401 }) : fetch(url, init)),
  });
  const { clock, service, client } = await begin(1, { change });
  for (const http of [false, true]) {
    service.faults.http = http;
    await assert.rejects(client.request('GET', '/odd'), { code: 'unauthorized' });
    await clock.advance(1_000);
    assert.equal(client.state.name, 'live');
  }
});

test('a storage that fails once holds up nothing', async () => {
  let fails = { load: false, put: false };
  const change = spoiled({ load: () => fails.load && !(fails.load = false), put: (item) => fails.put && item.failure && !(fails.put = false) });
  const { clock, service, client } = await begin(1, { change });
  fails.load = fails.put = true;
  service.refusals = ['content_too_large'];
  for (const content of ['a', 'b', 'c']) client.send({ recipient_id: 2, content });
  await clock.advance(60_000);
  assert.deepEqual([stored(service), failures(client)], [['b', 'c'], ['content_too_large']]);
});

test('what another page discards is not sent, and holds up nothing', async () => {
  const { clock, service, pages } = await begin(2);
  const [leader, other] = pages.map(({ client }) => client);
  service.faults.http = true;
  service.drop();
  other.send({ recipient_id: 2, content: 'a' });
  await clock.advance(60_000);
  await other.discard(other.outbox[0].id);
  service.faults.http = false;
  await clock.advance(60_000);
  assert.deepEqual(stored(service), []);
  // While its answer is on its way.
  service.delay = 50;
  other.send({ recipient_id: 2, content: 'b' });
  await clock.advance(30);
  await other.discard(other.outbox[0].id);
  other.send({ recipient_id: 2, content: 'c' });
  await clock.advance(HOUR);
  assert.ok(stored(service).includes('c') && leader.outbox.length === 0);
});

test('what is discarded during its upload is not sent, and holds up nothing', async () => {
  const slowly = (environment, clock) => ({
    openStorage: async (name) => {
      const storage = await environment.openStorage(name);
      const pause = () => new Promise((resolve) => clock.setTimeout(resolve, 20));
      return { ...storage, put: async (item) => (await storage.put(item), item.attachment_ids && pause()) };
    },
  });
  const { clock, service, client } = await begin(1, { change: slowly });
  client.send({ recipient_id: 2, content: 'a', files: [file()] });
  await clock.advance(15);
  await client.discard(client.outbox[0].id);
  await clock.advance(1_000);
  client.send({ recipient_id: 2, content: 'b' });
  await clock.advance(HOUR);
  assert.deepEqual(stored(service), ['b']);
});

test('where streams are cut below HTTP it polls', async () => {
  const blocked = (environment) => ({
    fetch: (url, init) => (url.pathname.endsWith('/stream') ? Promise.reject(new TypeError('blocked')) : environment.fetch(url, init)),
  });
  const { clock, client } = await begin(1, { change: blocked, prepare: (service) => (service.faults.sockets = true) });
  const names = [client.state.name];
  client.on('state', ({ name }) => names.push(name));
  await clock.advance(60_000);
  assert.ok(names.includes('polling'), names.join());
});

test('a message whose answer a reset overtook is asked for again', async () => {
  const { clock, service, client } = await begin();
  service.frames = ['lose'];
  client.send({ recipient_id: 2, content: 'a' });
  await clock.advance(100);
  service.restore(0);
  client.send({ recipient_id: 2, content: 'b' });
  await clock.advance(60_000);
  assert.deepEqual([stored(service), client.outbox.length], [['a', 'b'], 0]);
});

test('a mailbox that lost its end is begun anew on every page', async () => {
  const { clock, service, pages } = await begin(2);
  for (const content of 'abc') service.receive(content);
  await clock.advance(100);
  service.entries = service.entries.slice(0, 1);
  service.drop();
  await clock.advance(2_000);
  for (const content of 'xyz') service.receive(content);
  await clock.advance(2_000);
  for (const { entries, resets } of pages) assert.deepEqual([resets, entries], [1, [1, 2, 3, 2, 3, 4]]);
});

/** Sockets that do as `act` says while it says something. */
const sockets = (act) => (environment, clock) => ({
  WebSocket: class {
    constructor(url) {
      if (!act.hangs) return new environment.WebSocket(url);
      if (act.says) clock.setTimeout(() => this.onmessage?.({ data: JSON.stringify(act.says) }), 1);
    }
    close() {}
    send() {}
  },
});

test('an attempt that hangs is given up, whatever it said, and at once when somebody looks', async () => {
  for (const says of [undefined, { type: 'error', code: 'store_unavailable', error: 'x' }]) {
    const act = { hangs: false, says };
    const { clock, service, browser, client } = await begin(1, { change: sockets(act) });
    act.hangs = true;
    service.drop();
    await clock.advance(1_000);
    act.hangs = false;
    browser.online(true);
    await clock.advance(100);
    assert.equal(client.state.name, 'live');
    act.hangs = true;
    service.drop();
    await clock.advance(1_000);
    act.hangs = false;
    await clock.advance(30_000);
    assert.equal(client.state.name, 'live');
  }
});

test('a page that leads and is frozen leads no more', async () => {
  const { clock, service, pages } = await begin(2);
  pages[0].environment.isFrozen = true;
  service.receive('a');
  pages[1].client.send({ recipient_id: 2, content: 'b' });
  await clock.advance(60_000);
  assert.deepEqual([pages[1].entries, stored(service), service.sockets.size], [[1, 2], ['b'], 1]);
  pages[0].environment.isFrozen = false;
  service.receive('c');
  await clock.advance(60_000);
  assert.deepEqual([pages.map(({ entries }) => entries), service.sockets.size], [[[1, 2, 3], [1, 2, 3]], 1]);
});

test('files that nobody has any more are uploaded again, those that are there are not', async () => {
  const { clock, service, client } = await begin();
  const sent = [];
  const take = service.take.bind(service);
  service.take = (message) => (sent.push(message.attachment_ids), take(message));
  service.refusals = ['store_unavailable', 'unknown_attachment'];
  client.send({ recipient_id: 2, content: 'a', files: [file(), file()] });
  await clock.advance(5_000);
  assert.deepEqual(failures(client), ['unknown_attachment']);
  await client.retry(client.outbox[0].id);
  await clock.advance(5_000);
  assert.deepEqual([sent, stored(service)], [[[1, 2], [1, 2], [3, 4]], ['a']]);
});

test('who waits for a message is told when the client is closed', async () => {
  const { clock, service, client } = await begin();
  service.faults.http = true;
  service.drop();
  const sending = client.send({ recipient_id: 2, content: 'a' });
  await clock.advance(1_000);
  client.close();
  await assert.rejects(sending, { code: 'closed' });
});

test('the page of a proxy is no answer', async () => {
  const proxy = { isThere: true };
  const change = (environment) => ({
    fetch: (url, init) => (proxy.isThere ? Promise.resolve(new Response('<html>', { headers: { 'Content-Type': 'text/html' } })) : environment.fetch(url, init)),
  });
  const { clock, client } = await begin(1, { change });
  assert.equal(client.state.name, 'reconnecting');
  proxy.isThere = false;
  await clock.advance(5_000);
  assert.equal(client.state.name, 'live');
});

test('a log-out whose answer was lost is one', async () => {
  const { clock, service, client } = await begin();
  const out = client.logOut();
  clock.setTimeout(() => (service.faults.http = true), 6);
  await clock.advance(100);
  service.faults.http = false;
  await clock.advance(5_000);
  await out;
  assert.equal(client.state.name, 'signed out');
});

test('what is sent is not read from the storage again', async () => {
  let n_loads = 0;
  const change = spoiled({ load: () => void (n_loads += 1) });
  const { clock, service, client, pages } = await begin(2, { change });
  service.faults.http = true;
  service.drop();
  for (let nth = 0; nth < 1_000; nth += 1) client.send({ recipient_id: 2, content: `${nth}` });
  await clock.advance(5_000);
  const before = n_loads;
  service.faults.http = false;
  await clock.advance(120_000);
  assert.deepEqual([service.messages.size, n_loads], [1_000, before]);
  for (const page of pages) assert.equal(page.client.outbox.length, 0);
});
