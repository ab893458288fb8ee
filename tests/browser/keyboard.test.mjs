// The whole of the page by the keyboard alone. What has the focus always shows, and the focus is never lost.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test keyboard.test.mjs

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Account } from './account.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

/** Stops of the Tab key until something must have come up. */
const STOPS = 60;

let browser, ann, bob;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  ann = await Person.stranger(browser, first, 'Ann Arbor');
  bob = await Account.make(second, 'Bob Burns');
});

after(() => browser?.close());

/** What has the focus: its name, and whether one sees that it has it. */
function focused() {
  const element = document.activeElement;
  const text = element.ariaLabel || element.labels?.[0]?.textContent || element.getAttribute('aria-labelledby') || element.textContent || element.name || '';
  const isMarked = (at) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at);
    return (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none';
  };
  // A field may be marked by what stands around it.
  const around = [element, element.parentElement, element.parentElement?.parentElement].filter(Boolean);
  const { width, height } = element.getBoundingClientRect();
  return { tag: element.localName, name: text.trim().replace(/\s+/g, ' '), isMarked: around.some(isMarked), isVisible: width > 0 && height > 0, text: element.querySelector?.('.text')?.textContent };
}

const { keys, look, press, to, type } = {
  look: () => ann.page.evaluate(focused),
  /** Presses keys, after each of which something visible must have the focus. */
  async press(...names) {
    for (const name of names) {
      await ann.page.keyboard.press(name);
      // A sheet that closes keeps the focus until its end has been told.
      await until(`something in sight has the focus after ${name}`, async () => {
        const { tag, isVisible } = await look();
        return tag !== 'body' && isVisible;
      });
    }
    return look();
  },
  /** Goes on by Tab until this has the focus. */
  async to(name, key = 'Tab') {
    const seen = [];
    for (let stop = 0; stop < STOPS; stop += 1) {
      const now = await look();
      if (now.tag !== 'body') assert.ok(now.isMarked && now.isVisible, `it shows that it has the focus: ${JSON.stringify(now)}`);
      if (now.name.match(name)) return now;
      seen.push(now.name.slice(0, 30));
      await ann.page.keyboard.press(key);
    }
    return assert.fail(`no way by ${key} to ${name}: ${seen.join(' → ')}`);
  },
  type: (text) => ann.page.keyboard.type(text),
  keys: (...names) => Promise.all(names.map((name) => ann.page.keyboard.press(name))),
};

test('one registers', async () => {
  await to(/^Create an account$/);
  await press('Enter');
  await to(/^User name/);
  await type(ann.username);
  await to(/^Full name/);
  await type(ann.fullName);
  await to(/^Password/);
  await type(ann.password);
  await press('Enter');
  await ann.isLive();
  ann.account = await Account.of(ann);
  ann.id = ann.account.id;
});

test('one finds somebody, and writes to them', async () => {
  await to(/^New message$/);
  await press('Enter');
  await to(/^To$/);
  await type(bob.username);
  await ann.page.getByRole('option').first().waitFor();
  await press('ArrowDown', 'Enter');
  await ann.page.getByRole('button', { name: 'Remove Bob Burns' }).waitFor();
  await to(/^Attach files$/);
  await to(/^Message$/);
  await type('By keys alone');
  await press('Enter');
  await ann.isAt('Bob Burns');
  await ann.isMarked('By keys alone', 'stored');
});

test('one walks through the messages, and answers one', async () => {
  await bob.send(ann, 'Which keys?');
  await ann.message('Which keys?').waitFor();
  await to(/^Messages$/, 'Shift+Tab');
  await press('End');
  await untilEqual('the last has the focus', async () => (await look()).text, 'Which keys?');
  assert.ok((await look()).isMarked);
  await press('ArrowUp');
  await untilEqual('the one before', async () => (await look()).text, 'By keys alone');
  await press('ArrowDown');
  await to(/^Reply$/);
  await press('Enter');
  await untilEqual('one writes at once', async () => (await look()).tag, 'textarea');
  await type('Tab and Enter');
  await press('Enter');
  await ann.message('Tab and Enter').locator('.quote').waitFor();
});

test('one reacts, edits and deletes', async () => {
  const last = async () => {
    await to(/^Messages$/, 'Shift+Tab');
    await press('End');
    await untilEqual('the last has the focus', async () => (await look()).text !== undefined, true);
  };
  await last();
  await to(/^React$/);
  await press('Enter');
  await to(/^Thumbs up$/);
  await press('Enter');
  await ann.message('Tab and Enter').locator('.reactions button').waitFor();
  await until('the focus is back in the thread', () => ann.page.evaluate(() => document.activeElement.closest('sb-thread') !== null));

  await to(/^Message$/);
  await press('ArrowUp');
  await untilEqual('it is in the box', () => ann.box.inputValue(), 'Tab and Enter');
  await press('Control+A');
  await type('Tab, arrows and Enter');
  await press('Enter');
  await ann.message('Tab, arrows and Enter').waitFor();

  await last();
  await to(/^Delete$/);
  await press('Enter');
  await ann.page.getByRole('button', { name: 'Keep' }).waitFor();
  await press('Escape');
  assert.equal(await ann.message('Tab, arrows and Enter').count(), 1);
  await last();
  await to(/^Delete$/);
  await press('Enter');
  await ann.page.getByRole('button', { name: 'Keep' }).waitFor();
  await to(/^Delete$/);
  await press('Enter');
  await ann.message('Tab, arrows and Enter').waitFor({ state: 'detached' });
  await until('something has the focus', async () => (await look()).tag !== 'body');
});

test('one looks at the details, walks through the list, searches, and logs out', async () => {
  await to(/^Details$/, 'Shift+Tab');
  await press('Enter');
  const details = ann.dialog('Details');
  await to(/^Mute$/);
  await press('Enter');
  await details.getByRole('button', { name: 'Unmute' }).waitFor();
  await press('Escape');
  await details.waitFor({ state: 'hidden' });
  assert.match((await look()).name, /^Details$/, 'the focus is where it was');

  const carol = await Account.make(ann.url, 'Carol Clay');
  await carol.send(ann, 'Hello');
  await ann.row('Carol Clay').waitFor();
  await to(/Carol Clay/, 'Shift+Tab');
  await press('ArrowDown');
  assert.match((await look()).name, /Bob Burns/);
  await press('ArrowUp', 'Enter');
  await ann.isAt('Carol Clay');

  await to(/^Search$/, 'Shift+Tab');
  await type('which');
  await ann.messageRows.first().waitFor();
  await to(/Which keys/);
  await press('Enter');
  await ann.isAt('Bob Burns');

  await to(/^Your profile/, 'Shift+Tab');
  await press('Enter');
  await to(/^Log out$/);
  await keys('Enter');
  await ann.isOut();
  await to(/^User name/);
  await ann.behavedWell();
});
