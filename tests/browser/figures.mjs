// Measures what `figures` says.

import { Account } from './account.mjs';
import { scrollThrough } from './measure.mjs';
import { nodesOrOwn } from './node.mjs';
import { Person, launch, until } from './people.mjs';
import { Scene } from './scene.mjs';

const MESSAGES = 10_000;
const TIMES = 9;

const say = (what, value) => console.log(`${what.padEnd(52)} ${value}`);
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];

/** Counts what a page asks for, from now on. */
async function meter(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const counts = { requests: 0, wire: 0, decoded: 0 };
  session.on('Network.requestWillBeSent', () => (counts.requests += 1));
  session.on('Network.dataReceived', ({ dataLength }) => (counts.decoded += dataLength));
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (counts.wire += encodedDataLength));
  return counts;
}

async function memory(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes } = await session.send('Memory.getDOMCounters');
  const elements = await page.evaluate(() => document.querySelectorAll('*').length);
  return `${(usedSize / 1e6).toFixed(1)} MB heap, ${nodes} nodes, ${elements} elements in the document`;
}

/** Waits, in the page, until something that matches is drawn and can be clicked; gives when, from the start of the navigation. */
function usable(selector) {
  return new Promise((resolve) => {
    const look = () => {
      const element = document.querySelector(selector);
      const box = element?.getBoundingClientRect();
      const isOnTop = box?.width > 0 && element.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2));
      if (isOnTop) requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
      else requestAnimationFrame(look);
    };
    look();
  });
}

async function load(context, url, selector) {
  const page = await context.newPage();
  const counts = await meter(page);
  await page.goto(url, { waitUntil: 'commit' });
  const ms = await page.evaluate(usable, selector);
  const soFar = { ...counts };
  await page.waitForLoadState('networkidle');
  return { page, ms, soFar, counts };
}

async function firstPage(browser, what, url, storageState, selector) {
  const [cold, warm] = [[], []];
  let first;
  for (let time = 0; time < TIMES; time += 1) {
    const context = await browser.newContext({ storageState });
    const { page, ...cost } = await load(context, url, selector);
    first ??= cost;
    cold.push(cost.ms);
    await page.close();
    const again = await load(context, url, selector);
    warm.push(again.ms);
    if (time === TIMES - 1) {
      const { requests, wire } = again.counts;
      say(`${what}: again, with a warm cache`, `${requests} requests, ${wire} bytes on the wire`);
    }
    await context.close();
  }
  const { requests, wire, decoded } = first.counts;
  say(`${what}: cold`, `${requests} requests, ${wire} bytes on the wire, ${decoded} decoded`);
  say(`${what}: until it can be used, median of ${TIMES}`, `${median(cold).toFixed(0)} ms cold, ${median(warm).toFixed(0)} ms warm`);
}

async function long(browser, [first, second = first]) {
  const [ann, reader] = await Promise.all([Account.make(first, 'Ann Arbor'), Account.make(second, 'Bob Burns')]);
  const { conversation_id: conversation } = await ann.send(reader, 'Hello');
  const bob = await Person.at(browser, reader);
  await bob.go(`#/c/${conversation}`);
  await bob.message('Hello').waitFor();
  say('memory, a thread with one message', await memory(bob.page));
  const began = Date.now();
  await ann.sendMany(reader, Array.from({ length: MESSAGES }, (_, nth) => `message ${nth} ${'x'.repeat(180)}`), 50);
  const newest = (await ann.send(reader, 'the last')).message_id;
  await bob.message('the last').waitFor({ timeout: 120_000 });
  await until('all is read', async () => (await bob.unread()) === 0, 60_000);
  say(`memory, after ${MESSAGES} received live`, `${await memory(bob.page)} (${Math.round((Date.now() - began) / 1000)} s)`);
  await bob.page.reload();
  await bob.thread.locator(`article.message[data-id="${newest}"]`).waitFor();
  say('memory, the same thread opened anew', await memory(bob.page));
  const ids = await reader.messageIds(conversation);
  const { moved, held, steps } = await scrollThrough(bob, ids, 'top');
  say(`memory, after scrolling through ${ids.length}`, `${await memory(bob.page)}; ${steps} steps, ${held} messages held at most, moved ${moved} px at most`);
}

const [node, browser] = await Promise.all([nodesOrOwn(), launch()]);
try {
  const scene = await Scene.set(node.urls[0]);
  await firstPage(browser, 'log-in', scene.url, undefined, '#log-in button');
  await firstPage(browser, 'inbox', scene.url, scene.maria.storageState, 'a.row[data-id]');
  await long(browser, node.urls);
} finally {
  await browser.close();
  await node.stop();
}
