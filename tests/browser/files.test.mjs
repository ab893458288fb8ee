// Files, at the page in a real browser: put in by each way there is, sent, shown, and saved again.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test files.test.mjs

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Person, launch, nodes, until } from './people.mjs';
import { png } from './picture.mjs';
import { untilEqual } from './until.mjs';

/** One more than the defaults of a node allow. */
const TOO_MANY = 11;
const TOO_LARGE = 26_214_401;

let browser, ann, bob, folder;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  folder = await mkdtemp(path.join(tmpdir(), 'switchboard-'));
  ann = await Person.meet(browser, first, 'Ann Arbor');
  bob = await Person.meet(browser, second, 'Bob Burns');
  await bob.account.send(ann, 'Send me all of it');
  await Promise.all([ann.openThread('Bob Burns'), bob.openThread('Ann Arbor')]);
});

afterEach(async () => {
  await ann.behavedWell();
  await bob.behavedWell();
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const text = (name, content) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });

/** Lets the page have files as if they came from outside: by a drop, or by a paste. */
async function bring(kind, target, files) {
  await target.evaluate(
    (element, [kind, files]) => {
      const data = new DataTransfer();
      for (const [name, content, type] of files) data.items.add(new File([content], name, { type }));
      const event = (name) => new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true });
      if (kind === 'drop') for (const name of ['dragenter', 'dragover', 'drop']) element.dispatchEvent(event(name));
      else element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    },
    [kind, files],
  );
}

const inTray = (tab) => tab.tray.getByRole('listitem').allTextContents();

test('files put in by hand, dropped and pasted arrive byte for byte, in their order, under their names', async () => {
  const sent = [
    { name: 'noise.bin', mimeType: 'application/octet-stream', buffer: randomBytes(300 * 1024) },
    text('one byte.txt', '1'),
    text('<img src=x onerror=window.__xss=1>.html', '<script>window.__xss=1</script>'),
    text('naïve – 報告書 📎.txt', 'naïve'),
    text('a;b=c&d #1 %41 + plus.txt', 'odd'),
  ];
  await ann.attach(sent.slice(0, 2));
  await ann.attach(sent.slice(2));
  await bring('drop', ann.scroller, [['dropped.txt', 'from elsewhere', 'text/plain']]);
  await bring('paste', ann.box, [['pasted.txt', 'from the clipboard', 'text/plain']]);
  sent.push(text('dropped.txt', 'from elsewhere'), text('pasted.txt', 'from the clipboard'));
  await untilEqual('all are there', async () => (await inTray(ann)).length, sent.length);
  for (const [at, line] of (await inTray(ann)).entries()) assert.ok(line.includes(sent[at].name), line);

  await ann.attach([text('a mistake.txt', 'x')]);
  await ann.tray.getByRole('button', { name: 'Remove a mistake.txt' }).click();
  await untilEqual('it is gone', async () => (await inTray(ann)).length, sent.length);
  await ann.write('Here they are');

  const links = bob.message('Here they are').locator('.files li a');
  await links.nth(sent.length - 1).waitFor();
  for (const [at, { name, buffer }] of sent.entries()) {
    assert.ok((await links.nth(at).textContent()).includes(name), name);
    const [download] = await Promise.all([bob.page.waitForEvent('download'), links.nth(at).click()]);
    assert.deepEqual(await readFile(await download.path()), buffer, name);
  }
  await untilEqual('nothing is left to send', async () => (await inTray(ann)).length, 0);
});

test('a file alone is a message', async () => {
  await ann.attach([text('alone.txt', '1')]);
  await ann.send();
  const link = bob.thread.locator('article.message').last().locator('.files li a');
  await until('it is there', async () => (await link.count()) === 1 && (await link.textContent()).includes('alone.txt'));
  const [download] = await Promise.all([bob.page.waitForEvent('download'), link.click()]);
  assert.equal((await readFile(await download.path())).length, 1);
});

test('a picture is shown where it stands, and what only says that it is one is not', async () => {
  const picture = { name: 'hills.png', mimeType: 'image/png', buffer: png(320, 200) };
  const active = { name: 'active.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="window.__xss=1"/>') };
  await ann.write('The view', { files: [picture, active] });
  const images = bob.message('The view').locator('.files img');
  await until('it is drawn', () => images.evaluateAll((all) => all.length === 1 && all[0].naturalWidth === 320));
});

test('while files go up one sees how far they are, and may think better of it', async () => {
  const network = await ann.context.newCDPSession(ann.page);
  const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 200_000 };
  await network.send('Network.emulateNetworkConditions', slow);
  await ann.write('Too long', { files: [{ name: 'large.bin', mimeType: 'application/octet-stream', buffer: randomBytes(2_000_000) }] });
  const outgoing = ann.thread.locator('article.message.outgoing');
  const bar = outgoing.locator('progress');
  await until('some of it is there', () => bar.evaluate(({ value, max }) => value > 0 && value < max));
  assert.equal(await outgoing.getAttribute('data-mark'), 'pending');
  await outgoing.getByRole('button', { name: 'Cancel' }).click();
  await outgoing.waitFor({ state: 'detached' });
  await network.send('Network.emulateNetworkConditions', { ...slow, uploadThroughput: -1 });
  await ann.write('Never mind');
  await bob.message('Never mind').waitFor();
  assert.equal(await bob.message('Too long').count(), 0);
  await ann.box.fill('');
});

test('what is too large, empty or too many is told before anything is sent', async () => {
  const requests = [];
  ann.page.on('request', (request) => request.method() === 'POST' && /attachments|messages/.test(request.url()) && requests.push(request.url()));
  const alert = ann.composer.getByRole('alert');
  const large = path.join(folder, 'large.bin');
  const file = await open(large, 'w');
  await file.truncate(TOO_LARGE);
  await file.close();
  await ann.attach(large);
  await alert.filter({ hasText: /large/ }).waitFor();
  assert.deepEqual(await inTray(ann), []);
  await ann.attach([text('nothing.txt', '')]);
  await alert.filter({ hasText: /empty/ }).waitFor();
  assert.deepEqual(await inTray(ann), []);
  await ann.attach(Array.from({ length: TOO_MANY }, (_, nth) => text(`${nth}.txt`, 'x')));
  await alert.filter({ hasText: /10/ }).waitFor();
  assert.ok((await inTray(ann)).length < TOO_MANY);
  assert.deepEqual(requests, []);
});
