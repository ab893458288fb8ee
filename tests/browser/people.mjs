// What the tests of the page need: a browser, and people who use the page in it, each with a profile of their own.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { Account, newName } from './account.mjs';
import { Tab } from './tab.mjs';
import { DEADLINE_MS } from './until.mjs';

export { DEADLINE_MS, until } from './until.mjs';

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

/** Keeps what the policy of the page had to stop. */
function watchPolicy() {
  window.__violations = [];
  addEventListener('securitypolicyviolation', (event) => {
    window.__violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
  });
}

/** Somebody with a browser profile of their own; what they do in their first tab, they do. */
export class Person extends Tab {
  /** All that a page must never do, by whomever. */
  static misdeeds = [];

  /** Somebody who has no account yet, before the page. */
  static async stranger(browser, url, fullName, options = {}) {
    const person = new Person();
    Object.assign(person, { person, url, fullName, username: newName(), password: randomBytes(12).toString('base64url') });
    await person.#begin(browser, options);
    return person;
  }

  /** Somebody who is logged in already, with the page open. */
  static async meet(browser, url, fullName, options = {}) {
    const account = await Account.make(url, fullName);
    return Person.at(browser, account, options);
  }

  /** Somebody who has an account, at a browser of theirs. */
  static async at(browser, account, { url = account.url, ...options } = {}) {
    const { fullName, username, password, id } = account;
    const person = Object.assign(new Person(), { account, url, fullName, username, password, id });
    person.person = person;
    await person.#begin(browser, { storageState: account.storageState, ...options });
    await person.isLive();
    return person;
  }

  async #begin(browser, { scripts = [], ...options }) {
    this.context = await browser.newContext({ acceptDownloads: true, ...options });
    this.context.setDefaultTimeout(DEADLINE_MS);
    for (const script of [watchPolicy, ...scripts]) await this.context.addInitScript(script);
    this.page = await this.#newPage();
    await this.page.goto(this.url);
  }

  async #newPage() {
    const page = await this.context.newPage();
    page.on('dialog', (dialog) => {
      Person.misdeeds.push(`a ${dialog.type()} dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on('pageerror', (error) => Person.misdeeds.push(`an error: ${error.stack}`));
    return page;
  }

  /** Another tab of the same browser, at an address within the page. */
  async openTab(address = '') {
    const tab = new Tab();
    Object.assign(tab, { person: this, url: this.url, page: await this.#newPage() });
    await tab.page.goto(`${this.url}/${address}`);
    return tab;
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
    await this.page.getByRole('button', { name: 'Create an account' }).click();
    const form = this.page.getByRole('form', { name: 'Create an account' });
    await form.getByLabel('User name').fill(this.username);
    await form.getByLabel('Full name (optional)').fill(this.fullName);
    await form.getByLabel('Password').fill(this.password);
    await form.getByRole('button', { name: 'Create account' }).click();
    await this.isLive();
    this.account = await Account.of(this);
    this.id = this.account.id;
  }
}
