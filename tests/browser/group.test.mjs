// Three people in a group, on two nodes, each at the page in a browser of their own.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test group.test.mjs
//
// The tests share them and build on one another.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Account } from './account.mjs';
import { Person, launch, nodes, until } from './people.mjs';
import { untilEqual } from './until.mjs';

let browser, ann, bob, carol, dave;

before(async () => {
  const [first, second] = nodes();
  browser = await launch();
  ann = await Person.meet(browser, first, 'Ann Arbor');
  bob = await Person.meet(browser, second, 'Bob Burns');
  carol = await Person.meet(browser, first, 'Carol Clay');
  dave = await Account.make(second, 'Dave Dunn');
});

afterEach(async () => {
  for (const person of [ann, bob, carol]) await person.behavedWell();
});

after(() => browser?.close());

/** The line of a member in the dialog of details. */
const member = (dialog, person) => dialog.getByRole('listitem').filter({ hasText: person.fullName });
const close = async (person) => {
  await person.page.keyboard.press('Escape');
  await person.page.getByRole('dialog').waitFor({ state: 'hidden' });
};

test('a group is made with its first message, and all of it hear what is said', async () => {
  await ann.writeTo([bob, carol], 'Who brings what?', { title: 'Picnic' });
  for (const person of [bob, carol]) {
    await person.hasUnread(1);
    await person.openThread('Picnic');
    await person.message('Who brings what?').waitFor();
    await person.hasUnread(0);
  }
  await ann.isMarked('Who brings what?', 'read');
  await until('both have read it', async () => /2/.test(await ann.message('Who brings what?').locator('.mark').evaluate((mark) => `${mark.textContent} ${mark.title} ${mark.ariaLabel}`)));
  await bob.write('Cake');
  for (const person of [ann, carol]) assert.match(await person.message('Cake').locator('.sender').textContent(), /Bob Burns/);
});

test('without a name for it each gets a message of their own', async () => {
  await ann.writeTo([bob, carol], 'To each of you');
  for (const person of [bob, carol]) {
    await person.row('Ann Arbor').click();
    await person.isAt('Ann Arbor');
    await person.message('To each of you').waitFor();
    await person.openThread('Picnic');
  }
  await ann.openThread('Picnic');
});

test('in a group it is told who writes', async () => {
  // Soon after a message it is not told yet; who goes on writing is.
  const writes = async () => {
    await bob.box.press('a');
    return (await ann.presence.textContent()).includes('Bob Burns is typing…');
  };
  await until('Bob writes', writes);
  await bob.box.fill('');
});

test('an owner gives it another name, adds, makes owners, and removes', async () => {
  const details = await ann.openDetails();
  await details.getByLabel('Group name').fill('Picnic on Sunday');
  await details.getByRole('button', { name: 'Rename' }).click();
  await bob.isAt('Picnic on Sunday');

  await ann.pick('Add people', dave);
  await details.getByRole('button', { name: 'Add', exact: true }).click();
  await member(details, dave).waitFor();
  await untilEqual('he is in', async () => (await dave.request('GET', '/conversations')).conversations[0]?.title, 'Picnic on Sunday');

  await member(details, bob).getByRole('button', { name: 'Make owner' }).click();
  await member(details, bob).getByRole('button', { name: 'Make member' }).waitFor();
  await member(details, carol).getByRole('button', { name: 'Remove' }).click();
  await member(details, carol).waitFor({ state: 'detached' });
  await close(ann);
  await carol.row('Picnic on Sunday').waitFor({ state: 'detached' });
  assert.equal(await carol.message('Cake').count(), 0, 'who is out sees nothing of it');

  const ofBob = await bob.openDetails();
  await member(ofBob, dave).getByRole('button', { name: 'Remove' }).waitFor();
  await close(bob);
});

test('what is muted says so, and counts all the same', async () => {
  await (await bob.openDetails()).getByRole('button', { name: 'Mute' }).click();
  await bob.dialog('Details').getByRole('button', { name: 'Unmute' }).waitFor();
  await close(bob);
  await bob.go('#/');
  await ann.write('Psst');
  await until('it counts', async () => (await bob.row('Picnic on Sunday').locator('.badge').textContent()) === '1');
  await bob.openThread('Picnic on Sunday');
  await bob.message('Psst').waitFor();
});

test('who leaves is gone, and the others go on', async () => {
  await (await ann.openDetails()).getByRole('button', { name: 'Leave group' }).click();
  const sure = ann.page.getByRole('dialog').getByRole('button', { name: 'Leave', exact: true });
  await sure.or(ann.page.locator('a.row').filter({ hasText: 'Bob Burns' })).first().waitFor();
  if (await sure.isVisible()) await sure.click();
  await ann.row('Picnic on Sunday').waitFor({ state: 'detached' });
  await bob.write('Now it is us');
  await bob.isMarked('Now it is us', 'stored');
  const details = await bob.openDetails();
  await member(details, dave).waitFor();
  await member(details, ann).waitFor({ state: 'detached' });
  await close(bob);
});
