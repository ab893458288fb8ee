// Notifications: one for what comes while nobody looks, and none for what somebody sees. The browser's own are out of a test's
// reach: what stands in for them keeps what would be shown.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test notification.test.mjs

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { controlVisibility, hide, recordNotifications, show, shown } from './notifications.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

const scripts = [recordNotifications, controlVisibility];
let browser, ann, tabs, bob, conversation;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  ann = await Person.meet(browser, first, 'Ann Arbor', { scripts });
  bob = await Account.make(second, 'Bob Burns');
  conversation = (await bob.send(ann, 'Hello')).conversation_id;
  await ann.hasUnread(1);
  tabs = [ann];
});

afterEach(() => ann.behavedWell());
after(() => browser?.close());

const asked = () => ann.page.evaluate(() => Number(localStorage.getItem('test asked') ?? 0));
/** What the tabs show together: a browser shows one of those with the same tag. */
async function all() {
  const every = (await Promise.all(tabs.map(shown))).flat();
  return every.filter(({ tag }, at) => tag === '' || every.findIndex((other) => other.tag === tag && other.body === every[at].body) === at);
}

/** Bob says something; once each tab has it, what was shown of it. */
async function announced(text) {
  const unread = await ann.unread();
  await bob.send(ann, text);
  for (const tab of tabs) await tab.hasUnread(unread + 1);
  return (await all()).filter(({ body }) => body === text);
}

test('nobody is asked before they press a button, and nothing is shown before they agreed', async () => {
  await hide(ann);
  assert.deepEqual(await announced('Too early'), []);
  assert.equal(await asked(), 0);
  await show(ann);
  await ann.openThread('Bob Burns');
  await ann.hasUnread(0);
  await ann.write('I am here now');
  await ann.page.getByRole('button', { name: 'Turn on notifications' }).click();
  await untilEqual('they were asked', asked, 1);
  assert.equal(await ann.page.evaluate(() => localStorage.getItem('test activated')), 'true');
  assert.ok(await (await ann.openProfile()).getByLabel('Notify me when this page is hidden').isChecked());
  await ann.page.keyboard.press('Escape');
  await ann.go('#/');
});

test('what comes while all tabs are hidden is shown once, however many there are', async () => {
  tabs = [ann, await ann.openTab(), await ann.openTab()];
  for (const tab of tabs) await tab.isLive();
  for (const tab of tabs) await hide(tab);
  await bob.send(ann, 'While hidden');
  const [first] = await until('it is shown', async () => (await all()).length > 0 && all());
  assert.deepEqual([first.title, first.body], ['Bob Burns', 'While hidden']);
  for (const tab of tabs) await tab.hasUnread(1);
  assert.equal((await all()).length, 1);
});

test('nothing is shown while somebody looks at one of them', async () => {
  await show(tabs[1]);
  assert.deepEqual(await announced('While one is seen'), []);
  await hide(tabs[1]);
});

test('nothing is shown of what is muted', async () => {
  await ann.account.set(conversation, { is_muted: true });
  for (const tab of tabs) await tab.row('Bob Burns').and(tab.page.locator('.muted')).waitFor();
  assert.deepEqual(await announced('While muted'), []);
  await ann.account.set(conversation, { is_muted: false });
});

test('a press on one leads to the thread', async () => {
  const text = 'Press me';
  await bob.send(ann, text);
  const tab = await until('one tab shows it', async () => {
    for (const tab of tabs) if ((await shown(tab)).some(({ body }) => body === text)) return tab;
  });
  const focused = await tab.page.evaluate((text) => {
    window.__notifications.find(({ body }) => body === text).click();
    return window.__focused;
  }, text);
  assert.ok(focused > 0, 'its window comes to the front');
  await show(tab);
  await tab.isAt('Bob Burns');
  await tab.message(text).waitFor();
  for (const each of tabs) await each.hasUnread(0);
  await hide(tab);
  await tab.go('#/');
  // By now all that came before would be there.
  assert.deepEqual((await all()).map(({ body }) => body), ['While hidden', text]);
});

test('one is taken back when it was read elsewhere', async () => {
  const text = 'Read me at home';
  await bob.send(ann, text);
  const open = async () => (await Promise.all(tabs.map(shown))).flat().filter(({ body, isOpen }) => body === text && isOpen).length;
  await until('it is shown', open);
  const home = await Person.at(browser, await Account.of(ann));
  await home.openThread('Bob Burns');
  await untilEqual('it is gone', open, 0);
  await home.context.close();
});

test('who does not want them any more has none', async () => {
  await show(ann);
  await (await ann.openProfile()).getByLabel('Notify me when this page is hidden').uncheck();
  await ann.page.keyboard.press('Escape');
  await hide(ann);
  assert.deepEqual(await announced('Unwanted'), []);
});
