// The form that messages are written in. What is written to one person stays theirs while another conversation
// is looked at.

import { byId, drawUsers } from './view.js';

/**
 * @typedef {import('./api.js').User} User
 * @typedef {import('./outbox.js').Draft} Draft
 */

/** A pause in typing after which users are looked for, in milliseconds. */
const TYPING_PAUSE_MS = 200;
/** Users that are offered, and users among whom a name that was typed in full is looked for. */
const OFFERED = 20;
const SEARCHED = 200;

const form = byId('composer', HTMLFormElement);
const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
const [to, subject, content, files] = ['to', 'subject', 'content', 'files'].map(field);

export class Composer {
  /** Whom to; nobody while a name is still to be typed. @type {User | undefined} */
  #recipient;
  /** What was being written, by user id; 0 for a message to nobody yet. @type {Map<number, Omit<Draft, 'recipient'> & {to: string}>} */
  #drafts = new Map();
  /** Users that were offered, by user name. @type {Map<string, User>} */
  #offered = new Map();
  #findUsers;
  #listeners = new AbortController();

  /**
   * @param {object} listener
   * @param {(query: string, limit: number) => Promise<User[]>} listener.findUsers
   * @param {(draft: Draft) => void} listener.send
   * @param {(error: Error) => void} listener.report
   */
  constructor({ findUsers, send, report }) {
    this.#findUsers = findUsers;
    const { signal } = this.#listeners;
    let timer = 0;
    for (const event of ['focus', 'input']) {
      to.addEventListener(event, () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.#offer().catch(report), TYPING_PAUSE_MS);
      }, { signal });
    }
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(send).catch(report);
    }, { signal });
    this.#clear();
  }

  /** Forgets everything. */
  stop() {
    this.#listeners.abort();
    this.#recipient = undefined;
    this.#clear();
  }

  get isEmpty() {
    return subject.value === '' && content.value === '' && files.files?.length === 0;
  }

  /** @param {User} [recipient] without one, it has to be typed */
  address(recipient) {
    this.#drafts.set(this.#recipient?.id ?? 0, { ...this.#written(), to: to.value });
    this.#recipient = recipient;
    this.#clear();
    const draft = this.#drafts.get(recipient?.id ?? 0);
    if (!draft) return;
    const transfer = new DataTransfer();
    for (const file of draft.files) transfer.items.add(file);
    [subject.value, content.value, files.files] = [draft.subject, draft.content, transfer.files];
    if (!recipient) to.value = draft.to;
  }

  focus() {
    (this.#recipient ? content : to).focus();
  }

  #clear() {
    form.reset();
    // In a conversation its heading says whom to.
    /** @type {HTMLElement} */ (to.parentElement).hidden = this.#recipient !== undefined;
    to.value = this.#recipient?.username ?? '';
  }

  #written() {
    return { subject: subject.value.trim(), content: content.value, files: [...(files.files ?? [])] };
  }

  async #offer() {
    const users = await this.#findUsers(to.value.trim(), OFFERED);
    for (const user of users) this.#offered.set(user.username, user);
    drawUsers(users);
  }

  /** The user whose name was typed. @returns {Promise<User>} */
  async #find() {
    const name = to.value.trim();
    const known = this.#offered.get(name);
    if (known) return known;
    const user = (await this.#findUsers(name, SEARCHED)).find(({ username }) => username === name);
    if (!user) throw new Error(`there is no user ${name}`);
    return user;
  }

  /** @param {(draft: Draft) => void} send */
  async #submit(send) {
    const written = this.#written();
    if (written.content.trim() === '' && written.files.length === 0) throw new Error('write something, or choose a file');
    const button = byId('send', HTMLButtonElement);
    button.disabled = true;
    try {
      const before = this.#recipient;
      const recipient = before ?? (await this.#find());
      if (this.#listeners.signal.aborted) return;
      if (this.#recipient === before) {
        this.#clear();
        content.focus();
      } else {
        this.#drafts.delete(0);
      }
      send({ ...written, recipient });
    } finally {
      button.disabled = false;
    }
  }
}
