// Who is there: whom the pages watch, and whether somebody is at them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service } from './world.js';

async function begin(n_pages, { prepare = () => {}, tabs } = {}) {
  const clock = new Clock();
  const service = new Service(clock);
  prepare(service);
  const browser = new Browser(service, clock, () => 0.5);
  const open = async (change = () => ({})) => {
    const environment = browser.page({ tabs });
    Object.assign(environment, change({ ...environment }));
    const client = new Switchboard({ url: 'http://service', environment });
    const told = [];
    client.on('presence', ({ user_id, status }) => told.push(`${user_id} ${status}`));
    client.connect().catch(() => {});
    await clock.advance(20);
    return { client, environment, told };
  };
  const pages = [];
  for (let nth = 0; nth < n_pages; nth += 1) pages.push(await open());
  await clock.advance(2_000);
  /** What the service was asked since it was looked last. */
  const asked = () => service.asked.splice(0);
  return { clock, service, browser, pages, open, asked };
}

test('what the pages watch is asked for together, the newest first, and told on each', async () => {
  const { clock, service, pages, open, asked } = await begin(2);
  service.statuses.set(5, 'online');
  pages[0].client.watchPresence([5, 6]);
  await clock.advance(100);
  assert.deepEqual([asked(), pages[1].told], [[[5, 6]], ['5 online', '6 offline']]);
  pages[1].client.watchPresence([7, 5]);
  await clock.advance(2_000);
  assert.deepEqual(asked(), [[7, 5, 6]]);
  // Who joins, or asks anew, is told again.
  const third = await open();
  assert.deepEqual(asked(), []);
  third.client.watchPresence([6]);
  await clock.advance(2_000);
  assert.deepEqual([asked(), third.told], [[[6, 7, 5]], ['6 offline', '7 offline', '5 online']]);
  pages[0].client.watchPresence([5, 6]);
  await clock.advance(60_000);
  assert.deepEqual(asked(), [[5, 6, 7]]);
});

test('before it is connected, and after each connection that ended, it asks for what it watches', async () => {
  const { clock, service, pages: [{ client }], asked } = await begin(1);
  client.close();
  client.watchPresence([5]);
  client.connect();
  await clock.advance(2_000);
  service.drop();
  await clock.advance(5_000);
  assert.deepEqual(asked(), [[5], [5]]);
});

test('who names them while it learns who it is is told of them', async () => {
  const { clock, open } = await begin(1);
  const slow = ({ openStorage }) => ({
    openStorage: async (name) => {
      const storage = await openStorage(name);
      const load = async () => (await new Promise((resolve) => clock.setTimeout(resolve, 500)), storage.load());
      return { ...storage, load };
    },
  });
  const { client, told } = await open(slow);
  client.watchPresence([5]);
  await clock.advance(5_000);
  assert.deepEqual(told, ['5 offline']);
});

test('it asks once a second at most, and never for nobody but once', async () => {
  const { clock, pages: [{ client }], asked } = await begin(1);
  for (let nth = 0; nth < 30; nth += 1) {
    client.watchPresence([nth]);
    await clock.advance(110);
  }
  await clock.advance(2_000);
  assert.deepEqual(asked(), [[0], [9], [18], [27], [29]]);
  client.watchPresence([]);
  client.watchPresence([]);
  await clock.advance(2_000);
  client.watchPresence([]);
  await clock.advance(60_000);
  assert.deepEqual(asked(), [[]]);
});

test('a page that goes is forgotten: at once if it says so, else in time', async () => {
  const { clock, browser, pages, asked } = await begin(4);
  for (const [nth, { client }] of pages.entries()) client.watchPresence([nth]);
  await clock.advance(5_000);
  assert.deepEqual(asked().at(-1), [3, 2, 1, 0]);
  pages[3].client.close();
  await clock.advance(2_000);
  assert.deepEqual(asked(), [[2, 1, 0]]);
  // The others stay for as long as they are there.
  await clock.advance(600_000);
  assert.deepEqual(asked(), []);
  pages[2].environment.isFrozen = true;
  await clock.advance(180_000);
  assert.deepEqual(asked(), [[1, 0]]);
  pages[2].environment.isFrozen = false;
  await clock.advance(11_000);
  assert.deepEqual(asked(), [[2, 1, 0]]);
  // The browser says that the second page goes, and that it is back as it was.
  const watcher = [...browser.watchers][1];
  watcher.left();
  await clock.advance(2_000);
  assert.deepEqual(asked(), [[2, 0]]);
  watcher.woke();
  await clock.advance(2_000);
  assert.deepEqual(asked(), [[1, 2, 0]]);
});

test('the page that leads next asks for those who are left', async () => {
  const { clock, service, pages, asked } = await begin(3);
  for (const [nth, { client }] of pages.entries()) client.watchPresence([nth]);
  pages[1].client.setPresent(false);
  await clock.advance(5_000);
  asked();
  pages[0].client.close();
  await clock.advance(5_000);
  assert.deepEqual(asked(), [[2, 1]]);
  pages[1].environment.isFrozen = true;
  await clock.advance(60_000);
  assert.deepEqual(asked(), [[2]]);
  pages[1].environment.isFrozen = false;
  await clock.advance(60_000);
  assert.deepEqual(asked().at(-1).sort(), [1, 2]);
  assert.equal(service.sockets.size, 1);
});

test('a thousand are watched at most: of more those named last', async () => {
  const { clock, pages, asked } = await begin(2);
  const ids = (from, n) => Array.from({ length: n }, (_, nth) => from + nth);
  pages[0].client.watchPresence(ids(0, 800));
  pages[1].client.watchPresence(ids(700, 800));
  await clock.advance(5_000);
  assert.deepEqual(asked().at(-1), [...ids(700, 800), ...ids(0, 200)]);
  assert.throws(() => pages[0].client.watchPresence([Number.NaN]), TypeError);
});

test('who is refused asks again later', async () => {
  const { clock, service, pages: [{ client, told }], asked } = await begin(1);
  service.watchRefusals = ['overloaded', 'unknown_type'];
  client.watchPresence([5]);
  await clock.advance(29_000);
  client.watchPresence([6]);
  await clock.advance(500);
  assert.deepEqual(asked(), [[5]]);
  await clock.advance(1_000);
  assert.deepEqual([asked(), told], [[[6]], []]);
  // A node that cannot do it is not asked again.
  await clock.advance(600_000);
  assert.deepEqual(asked(), []);
});

test('where there is no WebSocket it looks every 30 seconds', async () => {
  for (const faults of [{ sockets: true }, { sockets: true, streams: true }]) {
    const { clock, service, pages, asked } = await begin(2, { prepare: (service) => Object.assign(service.faults, faults) });
    await clock.advance(20_000);
    pages[1].client.watchPresence(Array.from({ length: 201 }, (_, nth) => nth));
    pages[1].client.setPresent(false);
    pages[0].client.setPresent(false);
    await clock.advance(1_000);
    assert.deepEqual([asked().map((ids) => ids.length), pages[0].told.length, pages[1].told.at(-1)], [[200, 1], 201, '200 offline']);
    pages[1].client.watchPresence([5]);
    service.statuses.set(5, 'away');
    await clock.advance(15_000);
    assert.deepEqual([asked(), pages[0].told.at(-1)], [[[5]], '5 away']);
    await clock.advance(60_000);
    assert.deepEqual(asked(), [[5], [5]]);
    // A frame as soon as it can be one.
    service.faults.sockets = false;
    await clock.advance(60_000);
    assert.equal(pages[0].client.state.transport, 'websocket');
    assert.deepEqual(asked().slice(-2), [[5], 'away']);
  }
});

test('the user is away while nobody is at any page', async () => {
  const { clock, service, pages, open, asked } = await begin(2);
  pages[0].client.setPresent(false);
  await clock.advance(1_000);
  assert.deepEqual(asked(), []);
  pages[1].client.setPresent(false);
  await clock.advance(1_000);
  assert.deepEqual(asked(), ['away']);
  service.drop();
  await clock.advance(5_000);
  assert.deepEqual(asked(), ['away']);
  const third = await open();
  assert.deepEqual(asked(), ['online']);
  third.client.close();
  await clock.advance(1_000);
  assert.deepEqual(asked(), ['away']);
  pages[0].client.setPresent(true);
  await clock.advance(1_000);
  service.drop();
  await clock.advance(5_000);
  assert.deepEqual(asked(), ['online']);
});

test('after its end nothing is left of it', async () => {
  for (const tabs of [true, false]) {
    const { clock, pages } = await begin(2, { tabs });
    for (const { client } of pages) client.watchPresence([5]);
    await clock.advance(100);
    for (const { client } of pages) client.close();
    await clock.advance(10);
    assert.equal(clock.n_timers, 0);
  }
});
