// Texts that would do something, in every field there is: each is shown as just that text, and does nothing.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test hostile.test.mjs

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { HOSTILE, isName, isReaction } from './hostile.mjs';
import { controlVisibility, hide, recordNotifications, show, shown, wantNotifications } from './notifications.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

/** As it stands in one line. */
const inLine = (text) => text.slice(0, 200).replaceAll(/\s+/g, ' ').trim();
/** What the wire calls a message without one. */
const subjectOf = (text) => (text === 'No Subject' ? '' : text);

let browser, ann;
/** For each text somebody of that name, if it can be one, with a conversation of two and a group. */
const cases = [];

async function prepare(text) {
  const name = isName(text) ? text : `Somebody ${cases.length}`;
  const author = await Account.make(nodes()[1], name);
  const file = await author.upload(text, 'text/plain', 'x');
  const message = await author.send(ann, text, { subject: text, attachment_ids: [file] });
  if (isReaction(text)) await author.react(message, text);
  const group = await author.group(text, [ann]);
  const inGroup = await author.send(group, text);
  await ann.account.set(message.conversation_id, { draft: text });
  cases.push({ text, name, author, message, group, inGroup, filename: message.attachments[0].filename });
}

before(async () => {
  browser = await launch();
  ann = await Person.meet(browser, nodes()[0], 'Ann', { scripts: [recordNotifications, controlVisibility, wantNotifications] });
  const waiting = [...HOSTILE];
  const lane = async () => {
    for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) await prepare(text);
  };
  await Promise.all([lane(), lane(), lane()]);
  await ann.page.reload();
  await ann.isLive();
});

afterEach(async () => {
  await ann.behavedWell();
  const strange = 'script:not([src]), iframe, object, embed, base, math, form[action^="//"], [style*="fixed"], [onload], [onerror], [onclick]';
  assert.equal(await ann.page.locator('body').locator(strange).count(), 0);
  // Only an address of the web becomes anything but text.
  assert.equal(await ann.page.locator('.message :is(.text, .subject) > :not(a), :is(.preview, h2) > :not(span, bdi, b)').count(), 0);
});

after(() => browser?.close());

test('in a thread: name, subject, text, file, reaction and draft', async () => {
  for (const { text, name, message, filename } of cases) {
    await ann.go(`#/c/${message.conversation_id}`);
    const article = ann.thread.locator(`article.message[data-id="${message.message_id}"]`);
    await article.waitFor();
    const found = await article.evaluate((article) => {
      const of = (what) => article.querySelector(what)?.textContent ?? '';
      const reactions = [...article.querySelectorAll('.reactions button')].map(({ textContent }) => textContent);
      return { subject: of('.subject'), text: of('.text'), file: of('.files .filename') || of('.files li a'), reactions };
    });
    assert.deepEqual([found.subject, found.text, found.reactions], [subjectOf(text), text, isReaction(text) ? [text] : []]);
    assert.ok(found.file.includes(filename), found.file);
    assert.equal(await ann.heading.textContent(), name);
    await untilEqual('the draft', () => ann.box.inputValue(), text);
    assert.ok(await ann.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `it fits: ${text}`);
  }
});

test('a link leads to the web alone, and tells nobody where it stood', async () => {
  let links = 0;
  for (const { message } of cases.filter(({ text }) => text.includes('://'))) {
    await ann.go(`#/c/${message.conversation_id}`);
    const article = ann.thread.locator(`article.message[data-id="${message.message_id}"]`);
    await article.waitFor();
    for (const link of await article.locator('.text a').evaluateAll((all) => all.map(({ protocol, rel, target, href, textContent }) => ({ protocol, rel, target, href, textContent })))) {
      links += 1;
      assert.match(link.protocol, /^https?:$/);
      assert.deepEqual([link.target, link.rel.split(' ').sort()], ['_blank', ['noopener', 'noreferrer']]);
      assert.equal(new URL(link.textContent).href, link.href, 'it leads where it says');
      assert.ok(!link.href.includes('@'), link.href);
    }
  }
  assert.ok(links >= 2, 'some are links');
});

test('in a group: its name, over the thread and in the details, and those of its members', async () => {
  for (const { text, name, group, inGroup } of cases) {
    await ann.go(`#/c/${group}`);
    const article = ann.thread.locator(`article.message[data-id="${inGroup.message_id}"]`);
    await article.waitFor();
    assert.equal(await article.locator('.sender').textContent(), name);
    assert.equal(await ann.heading.textContent(), text);
    const details = await ann.openDetails();
    await details.getByRole('listitem').nth(1).waitFor();
    assert.ok((await details.getByRole('listitem').allTextContents()).some((line) => line.includes(name)), name);
    await ann.page.keyboard.press('Escape');
    await details.waitFor({ state: 'hidden' });
  }
});

test('in the list, in what was found, and in the box that searches', async () => {
  await ann.go('#/');
  const rows = ann.page.locator('a.row[data-id]');
  await until('all are listed', async () => {
    await rows.last().scrollIntoViewIfNeeded();
    return (await rows.count()) >= 2 * HOSTILE.length;
  });
  const listed = await rows.evaluateAll((all) => all.map((row) => [row.dataset.id, row.querySelector('.name').textContent, row.querySelector('.preview').textContent]));
  for (const { text, name, group, message } of cases) {
    for (const [id, title] of [[group, text], [message.conversation_id, name]]) {
      const [, shownTitle, preview] = listed.find(([listedId]) => Number(listedId) === id);
      assert.equal(shownTitle, title);
      // A draft is cut earlier.
      const line = id === group ? inLine(text) : inLine(text.slice(0, 120));
      assert.ok(preview.replaceAll(/\s+/g, ' ').trim().endsWith(line), preview);
    }
  }
  for (const { text, message } of cases.filter(({ text }) => text.split(/\s+/).length <= 8)) {
    await ann.search(text);
    const row = ann.page.locator(`a.row[data-message="${message.message_id}"]`);
    await row.waitFor();
    assert.ok((await row.textContent()).includes(text.slice(0, 20).trim()));
  }
  await ann.search('');
});

test('in what one picks from, and in what one writes', async () => {
  await ann.go('#/new');
  for (const { name, author } of cases) {
    await ann.page.getByRole('combobox', { name: 'To' }).fill(author.username);
    const option = ann.page.getByRole('option').filter({ hasText: `@${author.username}` });
    assert.ok((await option.textContent()).includes(name), name);
    await option.click();
    await ann.page.locator('sb-new').getByRole('button', { name: /^Remove / }).click();
  }
  const { id } = await Account.make(ann.url, 'Bob');
  await ann.go(`#/new/${id}`);
  await ann.write(HOSTILE[0], { subject: HOSTILE[1], files: [{ name: HOSTILE[1], mimeType: 'text/html', buffer: Buffer.from(HOSTILE[0]) }] });
  await ann.isAt('Bob');
  for (const text of HOSTILE.slice(1)) await ann.write(text, { subject: text });
  await untilEqual('all are sent', async () => (await ann.messages()).map(({ text, mark }) => [text, mark]), HOSTILE.map((text) => [text, 'stored']), 60_000);
  assert.deepEqual((await ann.messages()).slice(1).map(({ subject }) => subject), HOSTILE.slice(1).map(subjectOf));
});

test('in a notification, and in what is read aloud', async () => {
  await hide(ann);
  for (const { text, name, author } of cases) {
    const before = (await shown(ann)).length;
    await author.send(ann, text);
    const { title, body } = await until('it is announced', async () => (await shown(ann))[before]);
    // Of two who are called the same it says which.
    assert.deepEqual([title.replace(/ \(@u\w+\)$/, ''), inLine(body)], [name, inLine(text)]);
  }
  await show(ann);
  await cases[0].author.send(ann, HOSTILE[1]);
  await until('it is read aloud', async () => (await ann.page.locator('#news').textContent()).replace(/ \(@u\w+\):/, ':') === `${cases[0].name}: ${HOSTILE[1]}`);
});

test('in an address within the page', async () => {
  for (const text of HOSTILE) {
    for (const before of ['', '#/c/', '#/new/']) await ann.go(before + text);
  }
  await ann.go('#/');
  await ann.page.locator('a.row').first().waitFor();
});

test('the policy of the page holds: nothing inline, no markup from text, no other origin', async () => {
  const stranger = await Person.stranger(browser, ann.url, '');
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
