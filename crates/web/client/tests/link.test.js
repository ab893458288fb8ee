// One page and a service that goes wrong: what the client does about it, and what it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Switchboard } from '../switchboard.js';
import { Browser, Clock, Service } from './world.js';

/** A client that is connected, and what it heard. */
async function begin({ environment = {}, connected = true, ...options } = {}) {
  const clock = new Clock();
  const service = new Service(clock);
  const browser = new Browser(service, clock, () => 0.5);
  const client = new Switchboard({ url: 'http://service', environment: { ...browser.page(), ...environment }, ...options });
  const heard = { entries: [], states: [], resets: 0 };
  client.on('entry', ({ seq }) => heard.entries.push(seq));
  client.on('state', (state) => heard.states.push(state.transport ?? state.name));
  client.on('reset', () => (heard.resets += 1));
  const done = client.connect();
  done.catch(() => {});
  if (connected) {
    await clock.advance(1_000);
    await done;
  }
  return { clock, service, browser, client, heard, done };
}

/** The whole log, once and in order. */
const all = (service) => service.entries.map(({ seq }) => seq);

test('it is live, and hears each entry once', async () => {
  const { clock, service, client, heard } = await begin();
  for (let n = 0; n < 5; n += 1) service.receive(`${n}`);
  await clock.advance(100);
  assert.deepEqual(heard.entries, [1, 2, 3, 4, 5]);
  assert.deepEqual(heard.states, ['connecting', 'websocket']);
  assert.equal(client.me.id, 1);
});

test('a drop at every point costs nothing', async () => {
  // The connection is cut after each number of milliseconds, from the first request to long after the welcome.
  for (let at = 0; at < 80; at += 1) {
    const { clock, service, client, heard } = await begin({ connected: false });
    for (let n = 0; n < 10; n += 1) clock.setTimeout(() => service.receive(`${n}`), 8 * n);
    clock.setTimeout(() => service.drop(), at);
    await clock.advance(30_000);
    assert.equal(client.state.name, 'live', `cut after ${at} ms`);
    const from = client.me.cursor;
    assert.deepEqual(heard.entries, all(service).slice(from), `cut after ${at} ms`);
  }
});

test('repeats are passed over, and a gap is asked for', async () => {
  const { clock, service, heard } = await begin();
  service.frames = ['repeat', 'lose', undefined, 'lose', 'lose', 'repeat'];
  for (let n = 0; n < 6; n += 1) service.receive(`${n}`);
  await clock.advance(5_000);
  assert.deepEqual(heard.entries, [1, 2, 3, 4, 5, 6]);
});

test('what was lost with nothing behind it comes with the next connection', async () => {
  const { clock, service, heard } = await begin();
  service.frames = ['lose'];
  service.receive('a');
  await clock.advance(1_000);
  service.drop();
  await clock.advance(5_000);
  assert.deepEqual(heard.entries, [1]);
});

test('a reset begins anew from the cursor that it names', async () => {
  const { clock, service, heard } = await begin();
  for (let n = 0; n < 4; n += 1) service.receive(`${n}`);
  await clock.advance(100);
  service.restore(2);
  await clock.advance(100);
  service.receive('other');
  await clock.advance(100);
  assert.equal(heard.resets, 1);
  assert.deepEqual(heard.entries, [1, 2, 3, 4, 3]);
});

test('attempts wait longer and longer, up to 20 s, each time said', async () => {
  const { clock, service, client } = await begin();
  const attempts = [];
  client.on('state', ({ name, attempt, retryAt }) => name === 'reconnecting' && attempts.push([attempt, retryAt - clock.now]));
  service.faults.http = true;
  service.drop();
  await clock.advance(120_000);
  // Half of the cap, since that is what chance gives here.
  const waits = [...new Map(attempts)].slice(0, 8);
  assert.deepEqual(waits, [[1, 250], [2, 500], [3, 1000], [4, 2000], [5, 4000], [6, 8000], [7, 10_000], [8, 10_000]]);
  service.faults.http = false;
  await clock.advance(20_000);
  assert.equal(client.state.name, 'live');
});

test('it connects at once when the network is back', async () => {
  const { clock, service, browser, client } = await begin();
  service.faults.http = true;
  browser.online(false);
  service.drop();
  await clock.advance(300_000);
  assert.equal(client.state.name, 'offline');
  service.faults.http = false;
  browser.online(true);
  await clock.advance(50);
  assert.equal(client.state.name, 'live');
});

test('a socket that says nothing for two heartbeats is dead', async () => {
  const { clock, service, client, heard } = await begin();
  service.faults.silent = true;
  service.receive('a');
  await clock.advance(49_000);
  assert.equal(client.state.name, 'live');
  service.faults.silent = false;
  await clock.advance(2_000);
  assert.equal(client.state.name, 'live');
  assert.deepEqual(heard.entries, [1]);
});

test('an idle socket that answers is kept', async () => {
  const { clock, heard } = await begin();
  await clock.advance(3_600_000);
  assert.deepEqual(heard.states, ['connecting', 'websocket']);
});

test('after a sleep a dead socket is found out within seconds, and a living one is kept', async () => {
  const { clock, service, browser, heard } = await begin();
  clock.sleep(8 * 3_600_000);
  browser.online(true);
  await clock.advance(6_000);
  assert.deepEqual(heard.states.at(-1), 'websocket');
  assert.equal(heard.states.length, 2);
  service.faults.silent = true;
  clock.sleep(8 * 3_600_000);
  browser.online(true);
  await clock.advance(5_100);
  service.faults.silent = false;
  await clock.advance(1_000);
  assert.equal(heard.states.at(-1), 'websocket');
  assert.ok(heard.states.includes('reconnecting'));
});

test('jumps of the clock change nothing', async () => {
  for (const jump of [-86_400_000, 86_400_000]) {
    const { clock, service, client, heard } = await begin();
    clock.jump(jump);
    service.receive('a');
    await clock.advance(60_000);
    service.drop();
    clock.jump(-2 * jump);
    service.receive('b');
    await clock.advance(60_000);
    assert.equal(client.state.name, 'live');
    assert.deepEqual(heard.entries, [1, 2]);
  }
});

test('where sockets do not work it takes streams, where those do not it polls, and it climbs back', async () => {
  const { clock, service, client, heard } = await begin();
  service.faults.sockets = true;
  service.drop();
  service.receive('a');
  await clock.advance(5_000);
  assert.deepEqual([client.state.name, client.state.transport], ['live', 'stream']);
  service.faults.streams = true;
  service.drop();
  service.receive('b');
  await clock.advance(15_000);
  assert.deepEqual([client.state.name, client.state.transport], ['polling', 'poll']);
  service.receive('c');
  await clock.advance(5_100);
  assert.deepEqual(heard.entries, [1, 2, 3]);
  service.faults.sockets = service.faults.streams = false;
  for (let n = 0; n < 60; n += 1) {
    service.receive(`${n}`);
    await clock.advance(1_500);
  }
  assert.deepEqual([client.state.name, client.state.transport], ['live', 'websocket']);
  assert.deepEqual(heard.entries, all(service));
});

test('a service that is down is no reason for another transport', async () => {
  const { clock, service, client } = await begin();
  service.faults.http = true;
  service.drop();
  await clock.advance(200_000);
  service.faults.http = false;
  await clock.advance(20_000);
  assert.equal(client.state.transport, 'websocket');
});

test('the close codes are heeded', async () => {
  for (const [code, name] of [[1000, 'stopped'], [1009, 'stopped'], [4403, 'signed out'], [1013, 'live'], [4409, 'live'], [4401, 'live']]) {
    const { clock, service, client } = await begin();
    service.drop(code);
    await clock.advance(60_000);
    assert.equal(client.state.name, name, `${code}`);
  }
});

test('who is logged out is told so, whatever the way', async () => {
  const { clock, service, client } = await begin();
  service.faults.session = true;
  service.drop();
  await clock.advance(20_000);
  assert.equal(client.state.name, 'signed out');
  assert.equal(clock.n_timers, 0);
  const other = await begin({ connected: false });
  other.service.faults.session = true;
  await other.clock.advance(5_000);
  await assert.rejects(other.done, { code: 'unauthorized' });
});

test('a token that has expired is replaced', async () => {
  const given = [];
  const token = (expired) => given.push(expired) && `t${given.length}`;
  const { clock, service, client } = await begin({ token });
  service.drop(4401);
  await clock.advance(5_000);
  assert.equal(client.state.name, 'live');
  assert.deepEqual(given, [false, true]);
  assert.ok(service.requests.includes('POST /auth/ticket'));
});

test('a node that goes away is left when it said', async () => {
  const { clock, service, heard } = await begin();
  const [socket] = service.sockets;
  socket.give({ type: 'reconnect', after_ms: 2_000 });
  await clock.advance(1_500);
  service.receive('a');
  await clock.advance(100);
  assert.ok(service.sockets.has(socket));
  assert.deepEqual(heard.entries, [1]);
  await clock.advance(1_000);
  assert.ok(!service.sockets.has(socket) && service.sockets.size === 1);
});

test('without a WebSocket class there are streams', async () => {
  const { clock, service, client, heard } = await begin({ environment: { WebSocket: undefined } });
  service.receive('a');
  await clock.advance(100);
  assert.equal(client.state.transport, 'stream');
  assert.deepEqual(heard.entries, [1]);
  service.faults.silent = true;
  await clock.advance(51_000);
  service.faults.silent = false;
  service.receive('b');
  await clock.advance(1_000);
  assert.deepEqual(heard.entries, [1, 2]);
});

test('a listener that throws disturbs nothing', async () => {
  const { clock, service, client, heard } = await begin();
  const caught = [];
  globalThis.reportError = ({ message }) => caught.push(message);
  client.on('entry', () => {
    throw new Error('mine');
  });
  service.receive('a');
  await clock.advance(100);
  delete globalThis.reportError;
  assert.deepEqual([heard.entries, caught], [[1], ['mine']]);
});

test('after its end nothing happens any more', async () => {
  const { clock, service, client, heard } = await begin();
  client.close();
  service.receive('a');
  await clock.advance(100_000);
  assert.deepEqual([heard.entries, client.state.name, service.sockets.size], [[], 'closed', 0]);
  assert.equal(clock.n_timers, 0);
});
