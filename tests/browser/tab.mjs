// The page as somebody uses it: by its roles and names, and the few attributes that stand for ids.

import { until, untilEqual } from './until.mjs';

/** A text as a pattern for the whole of it, white space at its ends aside. */
const whole = (text) => new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}\\s*$`);

/** One tab with the page in it. */
export class Tab {
  /** Waits until the page is that of somebody logged in, and hears of what happens. */
  async isLive() {
    await this.page.locator('body[data-view=mail] #state[data-state=live]').waitFor({ state: 'attached' });
  }

  async isInState(name) {
    await this.page.locator(`#state[data-state="${name}"]`).waitFor({ state: 'attached' });
  }

  async isOut() {
    await this.page.locator('body[data-view=entry]').waitFor({ state: 'attached' });
    await this.logInForm.waitFor();
  }

  get logInForm() {
    return this.page.getByRole('form', { name: 'Log in' });
  }

  async logIn({ username, password } = this.person) {
    await this.logInForm.getByLabel('User name').fill(username);
    await this.logInForm.getByLabel('Password').fill(password);
    await this.logInForm.getByRole('button', { name: 'Log in', exact: true }).click();
    await this.isLive();
  }

  async openProfile() {
    await this.page.getByRole('button', { name: /^Your profile/ }).click();
    return this.dialog('Your profile');
  }

  async logOut() {
    await (await this.openProfile()).getByRole('button', { name: 'Log out' }).click();
    await this.isOut();
  }

  /** The open dialog of this name. */
  dialog(name) {
    return this.page.getByRole('dialog', { name });
  }

  /** Goes to an address within the page, as by a link. */
  async go(address) {
    await this.page.evaluate((to) => (location.hash = to), address);
  }

  /** The number on the badge, 0 without one; the title says the same. */
  async unread() {
    const badge = this.page.locator('#unread');
    const [title, isShown] = await Promise.all([this.page.title(), badge.isVisible()]);
    const shown = isShown ? Number(await badge.textContent()) : 0;
    return title === (shown ? `(${shown}) Switchboard` : 'Switchboard') ? shown : NaN;
  }

  async hasUnread(n) {
    await untilEqual(`${n} unread`, () => this.unread(), n);
  }

  async openFolder(name) {
    const tab = this.page.getByRole('tab', { name });
    await tab.click();
    await until(`${name} is selected`, async () => (await tab.getAttribute('aria-selected')) === 'true');
  }

  /** The row of a conversation in the list that is shown. */
  row(name) {
    return this.page.locator('a.row[data-id]').filter({ has: this.page.locator('.name').filter({ hasText: whole(name) }) });
  }

  /** Rows of single messages: what was sent, or found. */
  get messageRows() {
    return this.page.locator('a.row[data-message]');
  }

  async search(text) {
    await this.page.getByRole('searchbox', { name: 'Search' }).fill(text);
  }

  get thread() {
    return this.page.locator('sb-thread');
  }

  get scroller() {
    return this.thread.getByRole('region', { name: 'Messages' });
  }

  /** The name over the open thread. */
  get heading() {
    return this.thread.getByRole('heading', { level: 2 });
  }

  async openThread(name) {
    await this.row(name).first().click();
    await this.isAt(name);
  }

  async isAt(name) {
    await this.heading.filter({ hasText: whole(name) }).waitFor();
    await this.box.waitFor();
  }

  /** Begins a conversation with others; with a title, as a group. */
  async writeTo(people, text, { title, ...more } = {}) {
    await this.page.getByRole('link', { name: 'New message' }).click();
    for (const person of people) await this.pick('To', person);
    if (title) await this.page.locator('sb-new').getByLabel('Group name').fill(title);
    await this.write(text, more);
    if (title || people.length === 1) await this.isAt(title ?? people[0].fullName);
  }

  /** Picks somebody in a box that offers people. */
  async pick(label, person) {
    await this.page.getByRole('combobox', { name: label }).fill(person.username);
    await this.page.getByRole('option').filter({ hasText: `@${person.username}` }).click();
  }

  get composer() {
    return this.page.getByRole('form', { name: 'Write a message' });
  }

  /** Where one writes. */
  get box() {
    return this.composer.getByRole('textbox', { name: 'Message' });
  }

  get tray() {
    return this.composer.getByRole('list', { name: 'Files to send' });
  }

  async attach(files) {
    await this.composer.locator('input[name=files]').setInputFiles(files);
  }

  async write(text, { subject, files } = {}) {
    if (subject !== undefined) await this.writeSubject(subject);
    if (files) await this.attach(files);
    await this.box.fill(text);
    await this.send();
  }

  async writeSubject(subject) {
    const field = this.composer.getByRole('textbox', { name: 'Subject' });
    const opener = this.composer.getByRole('button', { name: 'Add a subject' });
    await field.or(opener).first().waitFor();
    if (!(await field.isVisible())) await opener.click();
    await field.fill(subject);
  }

  async send() {
    await this.composer.getByRole('button', { name: 'Send' }).click();
  }

  /** The messages of the open thread with just this text. */
  message(text) {
    return this.thread.locator('article.message').filter({ has: this.page.locator('.text').filter({ hasText: whole(text) }) });
  }

  /** What the open thread shows, in its order. */
  messages() {
    return this.thread.locator('article.message').evaluateAll((messages) => {
      const textOf = (message, what) => message.querySelector(what)?.textContent ?? '';
      return messages.map((message) => {
        const [id, mark] = [Number(message.dataset.id), message.dataset.mark ?? message.querySelector('.mark')?.dataset.mark];
        return { id, mark, text: textOf(message, '.text'), subject: textOf(message, '.subject'), sender: textOf(message, '.sender') };
      });
    });
  }

  async texts() {
    return (await this.messages()).map(({ text }) => text);
  }

  /** Chooses something from the actions of a message. */
  async act(text, action) {
    await this.message(text).last().hover();
    await this.page.getByRole('toolbar', { name: 'Actions' }).getByRole('button', { name: action }).click();
  }

  async react(text, reaction) {
    await this.act(text, 'React');
    await this.page.getByRole('dialog', { name: 'Reactions' }).getByRole('button').filter({ hasText: reaction }).click();
  }

  /** Waits until an own message has come so far: "pending", "stored", "read" or "failed". */
  async isMarked(text, mark) {
    await this.message(text).locator(`.mark[data-mark=${mark}]`).or(this.message(text).and(this.page.locator(`[data-mark=${mark}]`))).first().waitFor();
  }

  async remove(text) {
    await this.act(text, 'Delete');
    await this.page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await this.message(text).waitFor({ state: 'detached' });
  }

  async openDetails() {
    await this.thread.getByRole('button', { name: 'Details' }).click();
    return this.dialog('Details');
  }

  /** The line about who is there and who writes. */
  get presence() {
    return this.thread.locator('.presence');
  }
}
