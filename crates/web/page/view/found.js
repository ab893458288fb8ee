// Messages and people that the service finds, a page after the other.

import { people, switchboard } from '../world.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {import('../../client/switchboard.js').User} User
 */

/** So many pages are asked for in a row, until there are so many messages. */
const PAGES = 5;
const ENOUGH = 20;

export class Found {
  /** @type {Message[]} */
  messages = [];
  /** @type {User[]} */
  users = [];
  isLoaded = false;
  isLoading = false;
  /** @type {Error | undefined} */
  error;
  #changed;
  #query = '';
  /** @type {string | undefined} */
  #box;
  /** @type {number | undefined} */
  #before;
  /** What was asked for before does not count any more. */
  #stop = new AbortController();

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    switchboard.on('message_deleted', ({ message_id: id }) => {
      this.messages = this.messages.filter(({ message_id }) => message_id !== id);
      changed();
    });
    switchboard.on('message_edited', ({ message_id: id, subject, content }) => {
      const message = this.messages.find(({ message_id }) => message_id === id);
      if (message) Object.assign(message, { subject, content });
      changed();
    });
  }

  clear() {
    this.#stop.abort();
    Object.assign(this, { messages: [], users: [], isLoaded: false, isLoading: false, error: undefined });
  }

  /** Looks for messages with these words, or all. @param {string} query @param {'sent' | string | undefined} box @param {boolean} withUsers */
  look(query, box, withUsers) {
    this.clear();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#query = query;
    this.#box = box;
    this.#before = undefined;
    if (withUsers) {
      const show = (/** @type {User[]} */ users) => {
        if (signal.aborted) return;
        this.users = users;
        this.#changed();
      };
      people.search(query, 5).then(show, () => {});
    }
    this.#load(signal);
  }

  /** Asks once more for what was asked for, and keeps what there is until it is there. */
  async refresh() {
    if (!this.isLoaded || this.isLoading) return;
    const { signal } = this.#stop;
    const page = await this.#page(undefined, signal).catch(() => undefined);
    if (!page || signal.aborted) return;
    const [oldest] = page.messages.slice(-1);
    // A page may be empty and not be the last.
    const older = page.before === undefined ? [] : this.messages.filter(({ message_id }) => !oldest || message_id < oldest.message_id);
    this.messages = [...page.messages, ...older];
    if (older.length === 0) this.#before = page.before;
    this.#changed();
  }

  /** Whether there may be older ones. */
  get hasMore() {
    return this.#before !== undefined;
  }

  /** The next page, if there is one. */
  more() {
    if (!this.isLoading && (this.error || (this.isLoaded && this.hasMore))) this.#load(this.#stop.signal);
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    Object.assign(this, { isLoading: true, error: undefined });
    this.#changed();
    try {
      // A page may be empty and not be the last: a search looks at a part of the mailbox at a time.
      for (let [pages, n] = [0, 0]; pages < PAGES && n < ENOUGH && (pages === 0 || this.hasMore); pages += 1) {
        const { messages, before } = await this.#page(this.#before, signal);
        signal.throwIfAborted();
        this.messages = [...this.messages, ...messages];
        this.#before = before;
        n += messages.length;
        this.#changed();
      }
      this.isLoaded = true;
    } catch (error) {
      if (signal.aborted) return;
      this.error = /** @type {Error} */ (error);
    }
    this.isLoading = false;
    this.#changed();
  }

  /** @param {number | undefined} before @param {AbortSignal} signal @returns {Promise<{messages: Message[], before?: number}>} */
  #page(before, signal) {
    const query = { query: this.#query || undefined, box: this.#box, before };
    return switchboard.request('GET', '/messages', { query, signal });
  }
}
