// What the client costs: bytes on the wire, and memory after 10,000 messages.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 npm run client-figures
//
// The nodes must let a user send as fast as this does: SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND=1000000 and
// SWITCHBOARD_LIMITS__MESSAGES_BURST=1000000.

import { brotliCompressSync, gzipSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import { Front } from './front.mjs';
import { launch, nodes, until } from './people.mjs';

const MESSAGES = 10_000;
const BLANK = `<!doctype html><script type="module">
  import { Switchboard } from '/client/switchboard.js';
  const client = new Switchboard();
  let applied = 0;
  client.on('entry', () => (applied += 1));
  Object.assign(window, { client, applied: () => applied });
  client.connect();
</script>`;

const browser = await launch();
const fronts = await Promise.all(nodes().map((node) => Front.to(node)));
const pages = [];
for (const front of fronts) {
  front.page('/blank', BLANK);
  const context = await browser.newContext();
  const account = { username: `u${randomBytes(8).toString('hex')}`, password: randomBytes(12).toString('base64url') };
  const headers = { 'X-Requested-With': 'test' };
  for (const path of ['register', 'login']) await context.request.post(`${front.url}/api/v1/auth/${path}`, { data: account, headers });
  const page = await context.newPage();
  const modules = [];
  page.on('response', (response) => response.url().includes('/client/') && modules.push(response));
  await page.goto(`${front.url}/blank`);
  await until('it is live', () => page.evaluate(() => window.client?.state.name === 'live'));
  pages.push({ page, modules });
}

const [{ page, modules }, sender] = pages;
const bodies = await Promise.all(modules.map((response) => response.body()));
const total = (size) => bodies.reduce((sum, body) => sum + size(body), 0);
console.log(`modules            ${bodies.length}`);
console.log(`bytes              ${total((body) => body.length)}`);
console.log(`bytes, gzip        ${total((body) => gzipSync(body).length)}`);
console.log(`bytes, brotli      ${total((body) => brotliCompressSync(body).length)}`);

const session = await page.context().newCDPSession(page);
const memory = async () => {
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize;
};
const to = await page.evaluate(() => window.client.me.id);
const before = await memory();
const began = Date.now();
await sender.page.evaluate(
  async ([recipient_id, count]) => {
    const send = async (nth) => {
      const message = { recipient_id, content: `message ${nth} ${'x'.repeat(180)}`, client_message_id: `${nth}` };
      await window.client.request('POST', '/messages', { body: message });
    };
    for (let nth = 0; nth < count; nth += 50) await Promise.all(Array.from({ length: 50 }, (_, more) => send(nth + more)));
  },
  [to, MESSAGES],
);
await until('all are applied', async () => (await page.evaluate(() => window.applied())) === MESSAGES, 120_000);
const after = await memory();
console.log(`heap before        ${before} bytes`);
console.log(`heap after ${MESSAGES}   ${after} bytes (${Math.round((Date.now() - began) / 1000)} s)`);
await browser.close();
for (const front of fronts) front.close();
