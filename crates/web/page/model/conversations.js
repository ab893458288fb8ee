// The conversations of the user as the service tells of them: loaded by pages and one by one, and asked for again where what is
// known may not hold any more.

import { Emitter } from '../../client/events.js';
import { nameOf } from '../format.js';
import { Drafts } from './drafts.js';

/**
 * @typedef {import('../../client/switchboard.js').Switchboard} Switchboard
 * @typedef {import('../../client/switchboard.js').Frame} Frame
 * @typedef {import('../../client/switchboard.js').Message} Message
 * @typedef {import('../../client/switchboard.js').User} User
 * @typedef {{user: User, role: 'owner' | 'member'}} Member
 *
 * @typedef {object} Conversation
 * @property {number} id
 * @property {'direct' | 'group'} kind
 * @property {User} [user] of one of two, the other
 * @property {string} [title] of a group
 * @property {number} [member_count]
 * @property {Member[]} [members] once they were asked for
 * @property {Message} [last_message]
 * @property {number} unread_count 100 stands for a hundred or more
 * @property {boolean} is_muted
 * @property {boolean} is_archived
 * @property {string} draft
 * @property {number} rank the highest stands first
 *
 * @typedef {{before?: number, isLoaded: boolean, isLoading: boolean, error?: Error}} Shelf how much of a list is loaded
 */

export const SHELVES = /** @type {const} */ (['inbox', 'archive']);
/** What became uncertain is asked for after so long, so that one request does for several changes, in milliseconds. */
const REFRESH_MS = 250;
/** What could not be asked for is asked for again after so long, in milliseconds. */
const AGAIN_MS = 5_000;
/** The same where an answer and an entry crossed: there may be more of them; after so often in a row, at leisure. */
const CROSSED_MS = 1_000;
const CROSSED_MOST = 3;
const BUSY_MS = 30_000;
/** More conversations than that are loaded as a list, but for those that are held with members or messages. */
const REFRESH_MOST = 5;
/** What has no message stands so much above the next: ids of messages are whole. */
const STEP = 1e-3;

/** @param {Conversation} conversation */
export const titleOf = ({ kind, title, user }) => (kind === 'group' ? (title ?? '') : user ? nameOf(user) : '');

/**
 * @extends {Emitter<{list: undefined, conversation: number, gone: number, blocks: Frame, receipts: boolean}>} `list` what is shown of
 *   the conversations changed; `conversation` one of them; `gone` the user is no member any more
 */
export class Conversations extends Emitter {
  /** @type {Map<number, Conversation>} */
  conversations = new Map();
  /** Those that are not put away, and those that are. @type {{inbox: Shelf, archive: Shelf}} */
  shelves = { inbox: { isLoaded: false, isLoading: false }, archive: { isLoaded: false, isLoading: false } };
  drafts;
  /** Groups that the user left, and was not added to since. @type {Set<number>} */
  left = new Set();
  #switchboard;
  #people;
  /** @type {Set<number>} */
  #uncertain = new Set();
  #refresh = 0;
  #refreshAt = Infinity;
  #isTold = false;
  /** What entries were about while something was asked for, for each such request. @type {Set<Set<number>>} */
  #touched = new Set();
  /** How often in a row answers about a conversation crossed entries. @type {Map<number, number>} */
  #crossed = new Map();

  /** @param {Switchboard} switchboard @param {import('./people.js').People} people */
  constructor(switchboard, people) {
    super();
    this.#switchboard = switchboard;
    this.#people = people;
    this.drafts = new Drafts(switchboard);
  }

  /** Of one folder, in order. @param {boolean} isArchived */
  list(isArchived) {
    const found = [...this.conversations.values()].filter((conversation) => conversation.is_archived === isArchived);
    return found.sort((a, b) => b.rank - a.rank);
  }

  /** @param {number} user @returns {Conversation | undefined} the one with them, as far as it is known */
  directWith(user) {
    return [...this.conversations.values()].find((conversation) => conversation.user?.id === user);
  }

  /** Loads the next page of a list. @param {'inbox' | 'archive'} name @param {{anew?: boolean}} [how] */
  async load(name, { anew = false } = {}) {
    const shelf = this.shelves[name];
    const isWhole = shelf.isLoaded && shelf.before === undefined;
    if (shelf.isLoading || (isWhole && !anew && !shelf.error)) return;
    const isFirst = anew || isWhole || !shelf.isLoaded;
    Object.assign(shelf, { isLoading: true, error: undefined });
    this.tell();
    try {
      const query = { archived: String(name === 'archive'), before: isFirst ? undefined : shelf.before };
      const { conversations, before } = await this.#asking(() => this.#switchboard.request('GET', '/conversations', { query }));
      conversations.reduceRight((/** @type {number} */ above, /** @type {Conversation} */ conversation) => this.#put(conversation, above), before ?? 0);
      Object.assign(shelf, { isLoaded: true, before });
    } catch (error) {
      shelf.error = /** @type {Error} */ (error);
    }
    shelf.isLoading = false;
    this.tell();
  }

  /**
   * A conversation with its members.
   *
   * @param {number} id
   * @returns {Promise<Conversation>}
   * @throws {import('../../client/switchboard.js').Refusal} `not_found` if the user is no member
   */
  async fetch(id) {
    const conversation = await this.#asking(() => this.#switchboard.request('GET', `/conversations/${id}`), id);
    // One without a message that was not known is new.
    const highest = Math.max(0, ...[...this.conversations.values()].map(({ rank }) => rank));
    this.#put(conversation, (this.conversations.get(id)?.rank ?? highest) - (this.conversations.has(id) ? STEP : 0));
    this.emit('conversation', id);
    this.tell();
    return this.conversations.get(id) ?? conversation;
  }

  /** Tells the other devices what was begun there. @param {number} id @param {string} draft */
  saveDraft(id, draft) {
    const conversation = this.conversations.get(id);
    if (conversation?.draft === draft) return;
    if (conversation) conversation.draft = draft;
    this.drafts.save(id, draft);
    this.tell();
  }

  /** What is known of a conversation, or of all, may not hold any more. @param {number} [id] @param {number} [ms] until it is asked for */
  doubt(id = 0, ms = REFRESH_MS) {
    this.#uncertain.add(id);
    const at = Math.min(Date.now() + ms, this.#refreshAt);
    this.#refreshAt = at;
    clearTimeout(this.#refresh);
    this.#refresh = window.setTimeout(() => this.#makeSure(), at - Date.now());
  }

  /** Whether more is held of a conversation than its row. @param {number} id */
  isHeld(id) {
    return this.conversations.get(id)?.members !== undefined;
  }

  /** An entry was about a conversation. @param {number} id */
  changed(id) {
    for (const touched of this.#touched) touched.add(id);
    this.emit('conversation', id);
    this.tell();
  }

  /** Once a frame, however much happens in it. */
  tell() {
    if (this.#isTold) return;
    this.#isTold = true;
    const tell = () => {
      this.#isTold = false;
      this.emit('list', undefined);
    };
    // A page that is hidden has no frames.
    if (document.hidden) setTimeout(tell, REFRESH_MS);
    else requestAnimationFrame(tell);
  }

  /** @param {Omit<Conversation, 'rank'>} conversation @param {number} above what it stands above if it has no message */
  #put(conversation, above) {
    const { id, user, members = [], last_message, draft } = conversation;
    for (const known of [user, ...members.map((member) => member.user)]) if (known) this.#people.learn(known);
    const rank = last_message?.message_id ?? above + STEP;
    // Who left it meanwhile has it no more.
    if (!this.left.has(id)) this.conversations.set(id, { ...this.conversations.get(id), ...conversation, last_message, rank, draft: this.drafts.get(id, draft) });
    return rank;
  }

  /**
   * Asks for conversations. What an entry said meanwhile may or may not be in the answer: it is asked for again.
   *
   * @template T
   * @param {() => Promise<T>} ask
   * @param {number} [id] of the one that is asked for
   */
  async #asking(ask, id = 0) {
    /** @type {Set<number>} */
    const touched = new Set();
    this.#touched.add(touched);
    try {
      return await ask();
    } finally {
      this.#touched.delete(touched);
      if (!touched.has(id)) this.#crossed.delete(id);
      for (const crossed of touched) {
        const n = this.#crossed.get(crossed) ?? 0;
        this.doubt(crossed, n < CROSSED_MOST ? CROSSED_MS : BUSY_MS);
        this.#crossed.set(crossed, n + 1);
      }
    }
  }

  async #makeSure() {
    const ids = [...this.#uncertain];
    this.#uncertain.clear();
    this.#refreshAt = Infinity;
    const single = ids.filter((id) => id !== 0 && (this.isHeld(id) || ids.length <= REFRESH_MOST));
    if (single.length < ids.length) {
      for (const name of SHELVES) {
        const { isLoaded, isLoading } = this.shelves[name];
        if (isLoaded) await this.load(name, { anew: true });
        if (isLoaded && (isLoading || this.shelves[name].error)) this.doubt(0, AGAIN_MS);
      }
    }
    for (const id of single) {
      await this.fetch(id).catch((error) => {
        if (error.code === 'not_found') this.conversations.delete(id);
        else if (error.isPassing) this.doubt(id, AGAIN_MS);
        this.tell();
      });
    }
  }
}
