// The messages of one conversation, as far as they are loaded: a stretch without holes, which grows at both ends.

import { Emitter } from '../../client/events.js';

/**
 * @typedef {import('../../client/switchboard.js').Switchboard} Switchboard
 * @typedef {import('../../client/switchboard.js').Message} Message
 * @typedef {{reaction: string, count: number, is_own: boolean}} Reaction
 *
 * @typedef {object} Change what became of a thread: `reset` all of it; `older` and `newer` were loaded, `added` came live, each at
 *   its end; `changed` and `removed` are about one
 * @property {'reset' | 'older' | 'newer' | 'added' | 'changed' | 'removed' | 'state'} kind
 * @property {Message[]} messages ascending
 */

/** Messages in a page. */
const PAGE = 50;
/** In a page on the way back to the first that is unread, and how many are loaded for that at most. */
const LARGE_PAGE = 200;
const MOST_UNREAD = 1_000;

/** @extends {Emitter<{change: Change}>} */
export class Thread extends Emitter {
  id;
  /** Ascending. @type {Message[]} */
  messages = [];
  /** Whether this is all that there is of it on the older side, and on the newer. */
  hasOldest = false;
  hasLatest = false;
  isLoaded = false;
  /** Which end is being loaded. @type {'all' | 'older' | 'newer' | undefined} */
  loading;
  /** @type {Error | undefined} */
  error;
  #switchboard;
  /** @type {Map<number, Message>} */
  #byId = new Map();
  /** What came while a page was under way: the page may be from before it. @type {(() => void)[]} */
  #late = [];
  /** Messages that are answered and lie elsewhere. @type {Map<number, Promise<Message | undefined>>} */
  #elsewhere = new Map();
  /** Raised by each loading anew: pages that were asked for before it do not count. */
  #generation = 0;
  /** What the error is about. @type {'all' | 'older' | 'newer' | undefined} */
  #failed;
  /** Where it was asked for. @type {number | undefined} */
  #around;

  /** @param {number} id @param {Switchboard} switchboard */
  constructor(id, switchboard) {
    super();
    this.id = id;
    this.#switchboard = switchboard;
  }

  /** @param {number} id */
  get(id) {
    return this.#byId.get(id);
  }

  /** Loads the latest messages, or those around one. @param {number} [around] */
  async load(around) {
    this.#around = around;
    this.#generation += 1;
    await this.#fetch('all', async () => {
      const isAround = around !== undefined;
      const [older, newer] = await Promise.all([
        isAround ? this.#page({ before: around + 1 }) : this.#unread(),
        isAround ? this.#page({ after: around }) : { messages: /** @type {Message[]} */ ([]), after: undefined },
      ]);
      return () => {
        this.messages = [...older.messages.reverse(), ...newer.messages.reverse()];
        this.#byId = new Map(this.messages.map((message) => [message.message_id, message]));
        this.hasOldest = older.before === undefined;
        this.hasLatest = newer.after === undefined;
        this.isLoaded = true;
        return { kind: 'reset', messages: this.messages };
      };
    });
  }

  async loadOlder() {
    if (!this.isLoaded || this.hasOldest || this.loading) return;
    const before = this.messages[0]?.message_id;
    await this.#fetch('older', async () => {
      const page = await this.#page({ before });
      return () => {
        const messages = page.messages.reverse();
        this.messages.unshift(...messages);
        this.hasOldest = page.before === undefined;
        return { kind: 'older', messages: this.#learn(messages) };
      };
    });
  }

  async loadNewer() {
    if (!this.isLoaded || this.hasLatest || this.loading) return;
    const after = this.messages.at(-1)?.message_id;
    await this.#fetch('newer', async () => {
      const page = await this.#page({ after });
      return () => {
        const messages = page.messages.reverse();
        this.messages.push(...messages);
        this.hasLatest = page.after === undefined;
        return { kind: 'newer', messages: this.#learn(messages) };
      };
    });
  }

  /** Tries again what failed. */
  retry() {
    if (!this.error || this.loading) return;
    if (this.#failed === 'older') this.loadOlder();
    else if (this.#failed === 'newer') this.loadNewer();
    else this.load(this.#around);
  }

  /** A message that is newer than all others there are. @param {Message} message */
  add(message) {
    this.#afterLoading(() => {
      if (!this.isLoaded || !this.hasLatest || (this.messages.at(-1)?.message_id ?? 0) >= message.message_id) return;
      this.messages.push(...this.#learn([message]));
      this.emit('change', { kind: 'added', messages: [message] });
    });
  }

  /** @param {number} id @param {(message: Message & Record<string, any>) => void} change */
  patch(id, change) {
    this.#afterLoading(() => {
      const message = this.#byId.get(id);
      if (!message) return;
      change(message);
      this.emit('change', { kind: 'changed', messages: [message] });
    });
  }

  /** @param {number} id */
  remove(id) {
    this.#elsewhere.delete(id);
    this.#afterLoading(() => {
      const message = this.#byId.get(id);
      if (!message) return;
      this.#byId.delete(id);
      this.messages.splice(this.messages.indexOf(message), 1);
      this.emit('change', { kind: 'removed', messages: [message] });
    });
  }

  /** A message of the conversation, wherever it lies; nothing if it is not there any more. @param {number} id @returns {Promise<Message | undefined>} */
  lookUp(id) {
    const known = this.#byId.get(id);
    if (known) return Promise.resolve(known);
    const found = this.#elsewhere.get(id) ?? this.#page({ before: id + 1, limit: 1 }).then(({ messages: [message] }) => (message?.message_id === id ? message : undefined));
    found.catch(() => this.#elsewhere.delete(id));
    this.#elsewhere.set(id, found);
    return found;
  }

  /** The latest messages, back to the first that is unread: what was never shown must not count as read. */
  async #unread() {
    const all = await this.#page({});
    const me = this.#switchboard.me?.id ?? 0;
    for (let page = all; all.before !== undefined && all.messages.length < MOST_UNREAD; ) {
      const oldest = page.messages.findLast(({ sender_id }) => sender_id !== me);
      if (oldest && !isUnread(oldest, me)) break;
      if (!oldest && all.messages.every((message) => !isUnread(message, me))) break;
      page = await this.#page({ before: all.before, limit: LARGE_PAGE });
      all.messages.push(...page.messages);
      all.before = page.before;
    }
    return all;
  }

  /** @param {{before?: number, after?: number, limit?: number}} query @returns {Promise<{messages: Message[], before?: number, after?: number}>} */
  #page({ limit = PAGE, ...query }) {
    return this.#switchboard.history(this.id, { limit, ...query });
  }

  /** @param {Message[]} messages */
  #learn(messages) {
    for (const message of messages) this.#byId.set(message.message_id, message);
    return messages;
  }

  /** @param {'all' | 'older' | 'newer'} what @param {() => Promise<() => Change>} fetch */
  async #fetch(what, fetch) {
    const generation = this.#generation;
    this.loading = what;
    this.error = undefined;
    this.emit('change', { kind: 'state', messages: [] });
    try {
      const apply = await fetch();
      if (generation !== this.#generation) return;
      this.loading = undefined;
      this.emit('change', apply());
    } catch (error) {
      if (generation !== this.#generation) return;
      this.loading = undefined;
      this.error = /** @type {Error} */ (error);
      this.#failed = what;
      this.emit('change', { kind: 'state', messages: [] });
    }
    for (const late of this.#late.splice(0)) late();
  }

  /** @param {() => void} action that does no harm if it is done twice */
  #afterLoading(action) {
    if (this.loading) this.#late.push(action);
    action();
  }
}

/** Whether a message was received and is still to be read. @param {Message} message @param {number} me */
export const isUnread = (message, me) => !message.is_read && message.sender_id !== me;

/**
 * What the reactions of a message are after one more was set or taken back.
 *
 * @param {Reaction[]} reactions
 * @param {{reaction: string, count: number, is_set: boolean, user_id: number}} entry
 * @param {number} me
 * @returns {Reaction[]}
 */
export function afterReaction(reactions, { reaction, count, is_set, user_id }, me) {
  const before = reactions.find((other) => other.reaction === reaction);
  const is_own = user_id === me ? is_set : (before?.is_own ?? false);
  if (count === 0) return reactions.filter((other) => other !== before);
  const now = { reaction, count, is_own };
  return before ? reactions.map((other) => (other === before ? now : other)) : [...reactions, now];
}
