// What the test of the page needs: a browser, people who use the page in it, and a line to a node that can be cut.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { chromium } from 'playwright-core';

/** Nothing that is waited for may take longer, in milliseconds. */
export const DEADLINE_MS = 15_000;

/** Waits until `condition` gives something true, and gives that. */
export async function until(what, condition, ms = DEADLINE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) assert.fail(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
      const found = path.join(folder, name);
      if (await access(found, constants.X_OK).then(() => true, () => false)) return found;
    }
  }
  throw new Error('no chromium in PATH: install it, or name it in CHROMIUM');
}

export async function launch() {
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: await chromiumPath(), args, timeout: 2 * DEADLINE_MS });
}

/** The two nodes under test. */
export function nodes() {
  const urls = (process.env.SWITCHBOARD_URLS ?? '').split(',').filter(Boolean).map((url) => new URL(url).origin);
  if (urls.length !== 2) throw new Error('SWITCHBOARD_URLS names no two nodes, as in http://127.0.0.1:8001,http://127.0.0.1:8002');
  return urls;
}

/** Somebody with a browser profile of their own. */
export class Person {
  /** All that a page must never do, by whomever. */
  static misdeeds = [];

  static async meet(browser, url, fullName) {
    const person = new Person();
    person.url = url;
    person.fullName = fullName;
    person.username = `u${randomBytes(8).toString('hex')}`;
    person.password = randomBytes(12).toString('base64url');
    person.context = await browser.newContext({ acceptDownloads: true });
    person.context.setDefaultTimeout(DEADLINE_MS);
    await person.context.addInitScript(() => {
      window.__violations = [];
      addEventListener('securitypolicyviolation', (event) => {
        window.__violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    person.page = await person.openTab();
    return person;
  }

  async openTab() {
    const page = await this.context.newPage();
    page.on('dialog', (dialog) => {
      Person.misdeeds.push(`a ${dialog.type()} dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on('pageerror', (error) => Person.misdeeds.push(`an error: ${error.stack}`));
    await page.goto(this.url);
    return page;
  }

  /** Asserts that no page of this person ran what was not its own. */
  async behavedWell() {
    for (const page of this.context.pages()) {
      const found = await page.evaluate(() => ({ xss: window.__xss, violations: window.__violations }));
      assert.deepEqual(found, { xss: undefined, violations: [] });
    }
    assert.deepEqual(Person.misdeeds, []);
  }

  async register() {
    await this.#enter(this.page, '#register', { full_name: this.fullName });
  }

  async logIn(page = this.page) {
    await this.#enter(page, '#log-in', {});
  }

  async #enter(page, form, fields) {
    const { username, password } = this;
    for (const [name, value] of Object.entries({ username, password, ...fields })) {
      await page.locator(`${form} input[name=${name}]`).fill(value);
    }
    await page.locator(`${form} button`).click();
    await this.isConnected(page);
  }

  async isConnected(page = this.page) {
    await page.locator('#link[data-state=connected]').waitFor();
  }

  async logOut(page = this.page) {
    await page.locator('#log-out').click();
    await this.isOut(page);
  }

  async isOut(page = this.page) {
    await page.locator('#log-in').waitFor();
    await page.locator('#mail').waitFor({ state: 'hidden' });
  }

  /** Fills the form and sends it, from an open conversation or, with a recipient, from none. */
  async write({ to, subject = '', content, files = [] }) {
    const { page } = this;
    if (to) {
      await page.locator('#compose').click();
      await page.locator('#composer [name=to]').fill(to.username);
    }
    await page.locator('#composer [name=subject]').fill(subject);
    await page.locator('#composer [name=content]').fill(content);
    await page.locator('#composer [name=files]').setInputFiles(files);
    await page.locator('#send').click();
  }

  /** Opens the conversation with somebody from the list. */
  async openConversation(other) {
    await this.conversation(other).click();
    await until('the thread is open', async () => (await this.page.locator('#thread-heading').textContent()) === other.fullName);
  }

  conversation(other) {
    return this.page.locator('[data-test=conversation]').filter({ has: this.page.getByText(other.fullName, { exact: true }) });
  }

  /** The message with this subject, in the open conversation. */
  message(subject) {
    const { page } = this;
    return page.locator('[data-test=message]').filter({ has: page.locator('.subject').getByText(subject, { exact: true }) });
  }

  /** The number on the badge, 0 without one; the title says the same. */
  async unread() {
    const [title, badge] = await Promise.all([this.page.title(), this.page.locator('#unread').textContent()]);
    const shown = (await this.page.locator('#unread').isVisible()) ? Number(badge) : 0;
    return title === (shown ? `(${shown}) Switchboard` : 'Switchboard') ? shown : NaN;
  }

  async hasUnread(n) {
    await until(`${n} unread`, async () => (await this.unread()) === n);
  }
}

/** A line to a node, which can be cut or go silent as a network does. */
export class Line {
  #pairs = new Set();
  #webSockets = new WeakSet();
  #isCut = false;

  static async to(url) {
    const line = new Line();
    const { hostname, port } = new URL(url);
    line.server = net.createServer((near) => line.#join(near, net.connect(Number(port), hostname)));
    await new Promise((resolve) => line.server.listen(0, '127.0.0.1', resolve));
    line.url = `http://127.0.0.1:${line.server.address().port}`;
    return line;
  }

  #join(near, far) {
    const pair = [near, far];
    const end = () => pair.forEach((socket) => socket.destroy());
    for (const socket of pair) socket.on('error', end).on('close', end);
    if (this.#isCut) return end();
    this.#pairs.add(pair);
    near.on('close', () => this.#pairs.delete(pair));
    near.once('data', (head) => {
      if (/^upgrade: *websocket/im.test(head.toString('latin1'))) this.#webSockets.add(pair);
    });
    near.pipe(far).pipe(near);
  }

  /** Ends every connection without a goodbye, and refuses new ones. */
  cut() {
    this.#isCut = true;
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  mend() {
    this.#isCut = false;
  }

  /** The WebSockets that there are stay open, but nothing passes any more. New ones work, and so do requests. */
  silence() {
    for (const pair of this.#pairs) {
      if (!this.#webSockets.has(pair)) continue;
      const [near, far] = pair;
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  close() {
    this.cut();
    this.server.close();
  }
}
