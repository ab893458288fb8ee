// Each view of the page, and how one gets there: for pictures, and for what is looked over in all of them.

import { randomBytes } from 'node:crypto';
import { png } from './picture.mjs';
import { until } from './until.mjs';

export const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } };
export const SCHEMES = ['light', 'dark'];

/**
 * What somebody sees who is logged in, each from whatever was seen before: `maria` is at her page, over a `line`, and
 * `scene` has the others. Gives how it is undone, if it must be.
 */
export const VIEWS = {
  async inbox({ maria, scene, isWide }) {
    await maria.go(isWide ? `#/c/${scene.thread}` : '#/');
    await maria.row('Jonas Brandt').waitFor();
    if (isWide) await maria.message('ok').waitFor();
  },
  async thread({ maria, scene }) {
    await maria.go(`#/c/${scene.thread}`);
    await maria.message('ok').waitFor();
    await scene.jonas.types(scene.maria);
    await until('he writes', async () => /typing/.test(await maria.presence.textContent()));
  },
  async actions({ maria, scene }) {
    await maria.go(`#/c/${scene.thread}`);
    await maria.act('ok', 'React');
  },
  async reply({ maria, scene }) {
    await maria.page.keyboard.press('Escape');
    await maria.go(`#/c/${scene.thread}`);
    await maria.act('ok', 'Reply');
    await maria.box.fill('Good. I will be');
  },
  async confirm({ maria, scene }) {
    await maria.page.keyboard.press('Escape');
    await maria.go(`#/c/${scene.thread}`);
    await maria.act('Lunch at half past twelve? 🍕', 'Delete');
    await maria.page.getByRole('button', { name: 'Keep' }).waitFor();
  },
  async group({ maria, scene }) {
    await maria.page.keyboard.press('Escape');
    await maria.go('#/');
    const takeBack = await scene.news();
    await maria.go(`#/c/${scene.group}`);
    await maria.message('Then it is settled.').waitFor();
    return takeBack;
  },
  async image({ maria, scene }) {
    await maria.go(`#/c/${scene.group}`);
    await maria.message('😍').scrollIntoViewIfNeeded();
  },
  async details({ maria, scene }) {
    await maria.go(`#/c/${scene.group}`);
    await maria.openDetails();
  },
  async 'details-direct'({ maria, scene }) {
    await maria.page.keyboard.press('Escape');
    await maria.go(`#/c/${scene.thread}`);
    await maria.isAt('Jonas Brandt');
    await maria.openDetails();
  },
  async sent({ maria }) {
    await maria.page.keyboard.press('Escape');
    await maria.go('#/sent');
    await maria.messageRows.first().waitFor();
  },
  async archive({ maria }) {
    await maria.go('#/archive');
    await maria.row('Lena').waitFor();
  },
  async search({ maria }) {
    await maria.go('#/');
    await maria.search('the');
    await maria.messageRows.first().waitFor();
  },
  async new({ maria, scene }) {
    await maria.search('');
    await maria.go('#/new');
    for (const who of [scene.aisha, scene.jonas]) await maria.pick('To', who);
    await maria.page.getByRole('combobox', { name: 'To' }).fill('o');
    await maria.page.getByRole('option').first().waitFor();
  },
  async profile({ maria }) {
    await maria.go('#/');
    await maria.openProfile();
  },
  async drop({ maria, scene }) {
    await maria.page.keyboard.press('Escape');
    await maria.go(`#/c/${scene.thread}`);
    const slow = await maria.context.newCDPSession(maria.page);
    const network = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 60_000 };
    await slow.send('Network.emulateNetworkConditions', network);
    const big = { name: 'recording-of-the-meeting.m4a', mimeType: 'audio/mp4', buffer: randomBytes(1_500_000) };
    await maria.write('Here is the recording.', { files: [big] });
    await maria.thread.locator('progress').first().waitFor();
    await maria.attach([
      { name: 'plan of the second floor.png', mimeType: 'image/png', buffer: png(320, 200) },
      { name: 'a-rather-long-name-of-a-file-which-somebody-did-not-want-to-shorten-2026-11-23-final-v2.docx', mimeType: 'application/msword', buffer: randomBytes(48_213) },
    ]);
    return async () => {
      await maria.thread.getByRole('button', { name: 'Cancel' }).first().click();
      await slow.send('Network.emulateNetworkConditions', { ...network, uploadThroughput: -1 });
      const remove = maria.tray.getByRole('button', { name: /^Remove / });
      while (await remove.count()) await remove.first().click();
    };
  },
  async failed({ maria, scene }) {
    await maria.go(`#/c/${scene.failing}`);
    await maria.isAt('Tom Becker');
    await maria.write('And the one of the router, please.');
    await maria.isMarked('And the one of the router, please.', 'failed');
    return () => maria.thread.getByRole('button', { name: 'Discard' }).first().click();
  },
  async offline({ maria, scene, line }) {
    await maria.go(`#/c/${scene.thread}`);
    await maria.isAt('Jonas Brandt');
    await maria.context.setOffline(true);
    // A browser that is told to be offline leaves its sockets open.
    line.cut();
    await maria.isInState('offline');
    await maria.write('I am in the basement, this goes out as soon as there is a network.');
    await maria.isMarked('I am in the basement, this goes out as soon as there is a network.', 'pending');
    return async () => {
      await maria.thread.getByRole('button', { name: 'Cancel' }).first().click();
      await maria.context.setOffline(false);
      line.mend();
    };
  },
};

/** What those see who are not logged in, or have nothing yet. */
export const FIRST_VIEWS = {
  async entry(person) {
    await person.logInForm.waitFor();
  },
  async register(person) {
    await person.page.getByRole('button', { name: 'Create an account' }).click();
    await person.page.getByRole('form', { name: 'Create an account' }).waitFor();
  },
  async refused(person) {
    await person.page.reload();
    await person.logInForm.getByLabel('User name').fill('maria.keller');
    await person.logInForm.getByLabel('Password').fill('wrong horse');
    await person.logInForm.getByRole('button', { name: 'Log in', exact: true }).click();
    await person.logInForm.getByRole('alert').filter({ hasText: /./ }).waitFor();
  },
};
