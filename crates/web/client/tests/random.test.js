// Ten thousand events by chance: each entry is applied once and in order, each message is stored once.
// `SWITCHBOARD_TEST_SEED` chooses others.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service, seeded } from './world.js';

const EVENTS = 10_000;
const PAGES = 3;
const FINAL = ['content_too_large', 'unknown_recipient'];
const PASSING = ['rate_limited', 'store_unavailable', 'draining'];

/** What a page holds: loaded at a position, then kept by the entries after it. */
class Page {
  constructor(world, options) {
    this.world = world;
    this.client = new Switchboard({ url: 'http://service', environment: world.browser.page(options) });
    this.client.on('entry', (entry) => this.#take(entry));
    this.client.on('reset', () => this.#load());
    this.client.connect().then(() => {}, () => {});
    this.begun = new Promise((resolve) => this.client.on('unread', resolve));
  }

  /** As if all was loaded over HTTP: up to where the mailbox stands. */
  #load() {
    this.epoch = this.world.service.epoch;
    this.last = this.world.service.entries.length;
    this.isExact = false;
  }

  #take({ seq }) {
    // After a load the next is what the client begins with; from then on none is missing.
    if (this.isExact) assert.equal(seq, this.last + 1, 'an entry is missing, or comes twice');
    this.isExact = true;
    this.last = seq;
    this.world.n_applied += 1;
  }
}

function world(seed) {
  const clock = new Clock();
  const service = new Service(clock);
  const random = seeded(seed);
  const browser = new Browser(service, clock, random);
  return { clock, service, browser, random, pages: [], sent: [], n_applied: 0, n_sent: 0 };
}

function send(world, client) {
  const content = `${(world.n_sent += 1)}`;
  const to = world.random() < 0.5 ? { recipient_id: 2 } : { conversation_id: 3 };
  const record = { content, lane: JSON.stringify(to), outcome: 'unknown' };
  world.sent.push(record);
  client.send({ ...to, content }).then(
    () => (record.outcome = 'stored'),
    ({ code }) => (record.outcome = code),
  );
}

/** One event of those that happen, by their weights. */
function happen(world) {
  const { service, clock, browser, random, pages } = world;
  const pick = (list) => list[Math.floor(random() * list.length)];
  const toggle = (fault, share) => () => (service.faults[fault] = random() < share);
  const events = [
    [300, () => service.receive('x')],
    [120, () => pages.length > 0 && pick(pages).client.state.name !== 'closed' && pick(pages).client.me && send(world, pick(pages.filter(({ client }) => client.me)).client)],
    [40, () => service.drop(pick([1006, 1001, 1011, 1012, 1013, 4408, 4409]))],
    [40, () => service.frames.push(pick(['lose', 'repeat']))],
    [40, () => service.refusals.push(pick([...PASSING, ...PASSING, ...FINAL]))],
    [10, toggle('http', 0.2)],
    [10, toggle('sockets', 0.3)],
    [10, toggle('streams', 0.3)],
    [10, toggle('silent', 0.1)],
    [4, () => clock.jump((random() - 0.5) * 1e9)],
    [4, () => browser.online(random() < 0.7)],
    [3, () => service.restore(Math.floor(service.entries.length * random()))],
    [6, () => pages.length < PAGES && pages.push(new Page(world))],
    [4, () => pages.length > 1 && pages.splice(Math.floor(random() * pages.length), 1)[0].client.close()],
    [400, () => {}],
  ];
  let place = random() * events.reduce((sum, [weight]) => sum + weight, 0);
  events.find(([weight]) => (place -= weight) < 0)[1]();
}

test('whatever happens, each entry is applied once and each message stored once', async () => {
  const seed = Number(process.env.SWITCHBOARD_TEST_SEED ?? 20261123);
  const it = world(seed);
  const { clock, service, browser, random, pages } = it;
  pages.push(new Page(it));
  await clock.advance(100);
  for (let n = 0; n < EVENTS; n += 1) {
    happen(it);
    // Most follow each other at once, some after a while.
    await clock.advance(random() < 0.9 ? random() * 20 : random() * 3_000);
  }
  Object.assign(service.faults, { http: false, sockets: false, streams: false, silent: false });
  service.refusals = [];
  service.frames = [];
  browser.online(true);
  await clock.advance(120_000);
  service.receive('the last');
  await clock.advance(60_000);

  for (const { client, last } of pages) {
    assert.deepEqual([client.state.name, client.state.transport, client.outbox.filter(({ failure }) => !failure)], ['live', 'websocket', []]);
    assert.equal(last, service.entries.length);
  }
  assert.ok(it.n_applied > EVENTS / 4 && it.sent.length > EVENTS / 20, `${it.n_applied} applied, ${it.sent.length} sent`);
  const contents = [...service.messages.values()].map(({ data }) => data.content);
  assert.equal(new Set(contents).size, contents.length, 'a message was stored twice');
  const failed = new Set(pages[0].client.outbox.map(({ content }) => content));
  for (const { content, outcome } of it.sent) {
    // Of a page that closed nobody waits: it is stored all the same, or stands in the outbox as refused.
    const mayBeAway = FINAL.includes(outcome) || outcome === 'closed' || failed.has(content);
    assert.ok(contents.includes(content) || mayBeAway, `${content}: ${outcome}`);
    if (outcome === 'stored') assert.ok(contents.includes(content));
  }
  // In order a conversation, but for what was refused.
  for (const lane of ['{"recipient_id":2}', '{"conversation_id":3}']) {
    const written = it.sent.filter((record) => record.lane === lane).map(({ content }) => content);
    const places = written.map((content) => contents.indexOf(content)).filter((place) => place >= 0);
    assert.deepEqual(places, [...places].sort((a, b) => a - b), lane);
  }
});
