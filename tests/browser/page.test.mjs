// The page in a real browser: two people on two nodes of one cluster, which is running already.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 npm test
//
// The tests share both people and build on one another; each leaves them logged in, with nothing unread.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { Line, Person, launch, nodes, until } from './people.mjs';

/** Texts that would do something if they became markup, code, a link or a template. */
const HOSTILE = [
  '<script>window.__xss=1</script>',
  '<img src=x onerror="window.__xss=1">',
  '<svg onload=window.__xss=1>',
  '"><iframe srcdoc="<script>parent.__xss=1</script>">',
  "'-(window.__xss=1)-'",
  '" autofocus onfocus="window.__xss=1',
  '</textarea></title><script>window.__xss=1</script>',
  '<a href="javascript:window.__xss=1" style="position:fixed;inset:0">x</a>',
  'javascript:window.__xss=1',
  '&lt;script&gt;window.__xss=1&lt;/script&gt; &amp;amp;',
  '{{constructor.constructor("window.__xss=1")()}}',
  '${window.__xss=1}',
  '<details open ontoggle=window.__xss=1>',
  '<style>body{display:none}</style>',
  '<meta http-equiv=refresh content="0;url=javascript:window.__xss=1">',
  '<base href="//example.invalid/"><form action="//example.invalid/"><button>x',
  '<math><mtext></form><form><mglyph><style></math><img src onerror=window.__xss=1>',
];

let browser, line, ann, bob;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  line = await Line.to(second);
  ann = await Person.meet(browser, first, HOSTILE[1]);
  bob = await Person.meet(browser, line.url, HOSTILE[0]);
  await Promise.all([ann.register(), bob.register()]);
  await ann.logOut();
});

afterEach(async () => {
  await ann.behavedWell();
  await bob.behavedWell();
});

after(async () => {
  await browser?.close();
  line?.close();
});

test('a message with files crosses nodes, is read, receipted, downloaded and deleted', async () => {
  const named = { name: '<img src=x onerror=alert(1)>.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') };
  const binary = { name: 'noise.bin', mimeType: 'application/octet-stream', buffer: randomBytes(300 * 1024) };
  const lived = await bob.page.evaluate(() => (window.__lived = Math.random()));

  await ann.logIn();
  await ann.write({ to: bob, subject: 'Lunch', content: 'At noon?\n  Or later.', files: [named, binary] });
  await bob.hasUnread(1);
  assert.equal(await bob.conversation(ann).locator('.badge').textContent(), '1');

  await bob.openConversation(ann);
  const received = bob.message('Lunch');
  await received.waitFor();
  assert.equal(await bob.unread(), 1, 'what is not opened is not read');
  assert.equal(await ann.message('Lunch').locator('[data-test=state]').textContent(), 'Sent');
  await received.locator('summary').click();
  await bob.hasUnread(0);
  await bob.conversation(ann).locator('.badge').waitFor({ state: 'hidden' });
  assert.equal(await received.locator('.content').textContent(), 'At noon?\n  Or later.');
  await ann.message('Lunch').getByText('Read', { exact: true }).waitFor();

  for (const file of [named, binary]) {
    const link = received.locator('a').getByText(file.name, { exact: true });
    const [download] = await Promise.all([bob.page.waitForEvent('download'), link.click()]);
    assert.deepEqual(await readFile(await download.path()), file.buffer, file.name);
  }

  await ann.message('Lunch').locator('[data-test=delete]').click();
  await ann.page.locator('#confirm [value=no]').click();
  await ann.message('Lunch').locator('[data-test=delete]').click();
  await ann.page.locator('#confirm [value=yes]').click();
  await received.waitFor({ state: 'detached' });
  await ann.message('Lunch').waitFor({ state: 'detached' });
  assert.equal(await bob.page.evaluate(() => window.__lived), lived, 'the page was not loaded again');
});

test('a reader who deletes a message takes it from nobody else', async () => {
  await ann.write({ subject: 'Mine', content: 'to keep' });
  await bob.message('Mine').locator('summary').click();
  await bob.hasUnread(0);
  await bob.message('Mine').locator('[data-test=delete]').click();
  await bob.page.locator('#confirm [value=yes]').click();
  await bob.message('Mine').waitFor({ state: 'detached' });
  assert.equal(await ann.message('Mine').count(), 1);
});

test('hostile text is shown as text', async () => {
  for (const text of HOSTILE) await ann.write({ subject: text, content: `${text}\n${text}` });
  await bob.hasUnread(HOSTILE.length);
  for (const text of HOSTILE) {
    await bob.message(text).locator('summary').click();
    assert.equal(await bob.message(text).locator('.content').textContent(), `${text}\n${text}`);
    assert.equal(await bob.message(text).locator('summary .name').textContent(), ann.fullName);
  }
  await bob.hasUnread(0);
  assert.equal(await bob.page.locator('#messages :is(script, iframe, img, svg, form, style, math, meta, base)').count(), 0);
});

test('hostile names are shown as text', async () => {
  const tab = await bob.openTab();
  const users = HOSTILE.map((full_name, at) => ({ id: 9_000_000 + at, username: `x${at}`, full_name }));
  await tab.route('**/api/v1/conversations?*', async (route) => {
    const { conversations } = await (await route.fetch()).json();
    await route.fulfill({ json: { conversations: users.map((user) => ({ ...conversations[0], id: user.id, user })) } });
  });
  await tab.route('**/api/v1/users?*', (route) => route.fulfill({ json: { users } }));
  await tab.reload();
  for (const text of HOSTILE) await tab.locator('[data-test=conversation] .name').getByText(text, { exact: true }).waitFor();
  await tab.locator('#composer [name=to]').fill('x');
  await until('the names are offered', async () => (await tab.locator('#users option').count()) === HOSTILE.length);
  const offered = await tab.locator('#users option').evaluateAll((options) => options.map(({ label }) => label));
  assert.deepEqual(offered, HOSTILE);
  await bob.behavedWell();
  await tab.close();
});

test('the policy of the page holds: nothing inline, no markup from text, no other origin', async () => {
  const stranger = await Person.meet(browser, ann.url, '');
  const done = await stranger.page.evaluate(async () => {
    const violated = new Promise((resolve) => addEventListener('securitypolicyviolation', resolve, { once: true }));
    const attempt = (action) => {
      try {
        action();
        return 'done';
      } catch (error) {
        return error.name;
      }
    };
    const element = document.createElement('script');
    const markup = attempt(() => (document.body.innerHTML = '<b>x</b>'));
    const handler = attempt(() => element.setAttribute('onload', 'window.__xss = 1'));
    const script = attempt(() => (element.textContent = 'window.__xss = 1'));
    document.body.append(element);
    const elsewhere = await fetch('http://example.invalid/').then(() => 'done', (error) => error.name);
    document.body.setAttribute('style', 'color: red');
    await violated;
    return { markup, handler, script, elsewhere, style: getComputedStyle(document.body).color === 'rgb(255, 0, 0)', xss: window.__xss };
  });
  const expected = { markup: 'TypeError', handler: 'TypeError', script: 'TypeError', elsewhere: 'TypeError', style: false, xss: undefined };
  assert.deepEqual(done, expected);
  await stranger.context.close();
});

test('a cut line is mended: what was sent meanwhile appears, once', async () => {
  line.cut();
  await bob.page.locator('#link[data-state=waiting]').waitFor();
  await ann.write({ subject: 'While cut', content: 'x' });
  await ann.message('While cut').waitFor();
  line.mend();
  await bob.hasUnread(1);
  await bob.message('While cut').locator('summary').click();
  await bob.hasUnread(0);
  assert.equal(await bob.message('While cut').count(), 1);
});

test('a line that went silent is noticed when the network comes back', async () => {
  line.silence();
  await ann.write({ subject: 'While silent', content: 'x' });
  await ann.message('While silent').waitFor();
  await bob.context.setOffline(true);
  await bob.write({ subject: 'Written offline', content: 'x' });
  await bob.page.locator('#outbox').getByText('trying again').waitFor();
  await bob.context.setOffline(false);
  await bob.message('While silent').locator('summary').click();
  await bob.hasUnread(0);
  await ann.message('Written offline').locator('summary').click();
  await ann.hasUnread(0);
  await until('the outbox is empty', async () => (await bob.page.locator('#outbox li').count()) === 0);
  for (const subject of ['While silent', 'Written offline']) assert.equal(await bob.message(subject).count(), 1);
});

test('a message whose answer was lost is sent again under the same id, and is there once', async () => {
  const ids = [];
  await bob.page.route('**/api/v1/messages', async (route) => {
    ids.push(route.request().postDataJSON().client_message_id);
    if (ids.length === 1) return route.abort();
    if (ids.length === 2) {
      line.silence();
      await route.fetch();
      return route.abort();
    }
    return route.continue();
  });
  await bob.write({ subject: 'Thrice', content: 'x' });
  await ann.message('Thrice').locator('summary').click();
  await ann.hasUnread(0);
  await until('the outbox is empty', async () => (await bob.page.locator('#outbox li').count()) === 0);
  await bob.page.unroute('**/api/v1/messages');
  assert.deepEqual([ids.length, new Set(ids).size], [3, 1]);
  await bob.message('Thrice').waitFor();
  line.cut();
  await bob.page.locator('#link[data-state=waiting]').waitFor();
  line.mend();
  await bob.isConnected();
  assert.equal(await ann.message('Thrice').count(), 1);
  assert.equal(await bob.message('Thrice').count(), 1);
});

test('what a node says about the connection is done', async () => {
  const tab = await bob.context.newPage();
  const sockets = [];
  await tab.routeWebSocket(/\/ws\/messages\//, (socket) => {
    sockets.push(socket);
    socket.connectToServer();
  });
  await tab.goto(bob.url);
  await bob.isConnected(tab);
  const connected = async (n) => {
    await until(`connection ${n}`, () => sockets.length === n);
    await bob.isConnected(tab);
    return sockets[n - 1];
  };
  const cursor = new URL(sockets[0].url()).searchParams.get('cursor');
  const first = await connected(1);
  const twice = { message_id: 1, conversation_id: 1, sender: 'Nobody', sender_id: 1, recipient_id: 1, subject: '', content: '' };
  first.send(JSON.stringify({ type: 'new_message', seq: Number(cursor), data: { ...twice, is_read: false, attachments: [] } }));
  first.send(JSON.stringify({ type: 'unread_count', unread_count: 5 }));
  await until('the title says 5', async () => (await tab.title()).startsWith('(5)'));
  assert.equal(await tab.locator('#news').textContent(), '', 'an entry that was there already is dropped');

  first.send(JSON.stringify({ type: 'void', seq: Number(cursor) + 7 }));
  const resumed = await connected(2);
  assert.equal(new URL(resumed.url()).searchParams.get('cursor'), cursor, 'a gap: back to the cursor');

  resumed.send(JSON.stringify({ type: 'reconnect', after_ms: 300 }));
  const moved = await connected(3);
  const asked = tab.waitForRequest('**/api/v1/me');
  await moved.close({ code: 4401 });
  await asked;
  const refreshed = await connected(4);

  const reloaded = tab.waitForRequest('**/api/v1/conversations?*');
  refreshed.send(JSON.stringify({ type: 'reset', cursor: Number(cursor), epoch: 'another' }));
  await reloaded;
  await refreshed.close({ code: 1002 });
  await tab.locator('#connect').click();
  const last = await connected(5);
  assert.equal(new URL(last.url()).searchParams.get('epoch'), 'another');
  await tab.close();
});

test('logging out ends the session in every tab, logging in begins it in every tab', async () => {
  const tab = await bob.openTab();
  await bob.isConnected(tab);
  // The other tab must hear it from its node, not from this one.
  await tab.evaluate(() => (BroadcastChannel.prototype.postMessage = () => {}));
  await bob.logOut(tab);
  await bob.isOut();
  await ann.write({ subject: 'After hours', content: 'x' });
  await ann.message('After hours').waitFor();
  assert.equal(await bob.page.locator('[data-test=message], [data-test=conversation]').count(), 0);
  assert.equal(await bob.page.title(), 'Switchboard');
  await bob.logIn();
  await bob.isConnected(tab);
  await bob.hasUnread(1);
  await tab.close();
});
