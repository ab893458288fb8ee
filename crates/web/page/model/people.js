// Who is who, who is there, and who is writing.

import { Emitter } from '../../client/events.js';
import { nameOf } from '../format.js';

/**
 * @typedef {import('../../client/switchboard.js').User} User
 * @typedef {{status: 'online' | 'away' | 'offline', last_seen?: string}} Presence
 */

/** A typing notice counts for so long, should nobody take it back, in milliseconds. The node does so after 6 s. */
const TYPING_MS = 8_000;

/** @extends {Emitter<{presence: number, typing: number, names: undefined}>} `presence` of a user, `typing` in a conversation */
export class People extends Emitter {
  #switchboard;
  /** @type {Map<number, User>} */
  #users = new Map();
  /** Ids by name. @type {Map<string, Set<number>>} */
  #namesakes = new Map();
  /** @type {Map<number, Presence>} */
  #presence = new Map();
  /** Those who write, by conversation, each with what ends it. @type {Map<number, Map<number, number>>} */
  #typing = new Map();
  /** Whom each part of the page wants to know of. @type {Map<string, number[]>} */
  #watched = new Map();

  /** @param {import('../../client/switchboard.js').Switchboard} switchboard */
  constructor(switchboard) {
    super();
    this.#switchboard = switchboard;
    switchboard.on('presence', ({ user_id, status, last_seen }) => {
      this.#presence.set(user_id, { status, last_seen });
      this.emit('presence', user_id);
    });
    switchboard.on('typing', ({ conversation_id, user_id, is_typing }) => this.#type(conversation_id, user_id, is_typing));
    switchboard.on('new_message', ({ data }) => this.#type(data.conversation_id, data.sender_id, false));
    switchboard.on('state', ({ name }) => {
      if (name === 'live') return;
      // What was known of who is there does not hold without a connection.
      for (const id of [...this.#presence.keys()]) {
        this.#presence.delete(id);
        this.emit('presence', id);
      }
    });
  }

  /** @param {User} user */
  learn(user) {
    const known = this.#users.get(user.id);
    if (known && known.full_name === user.full_name && known.username === user.username) return;
    if (known) this.#namesakes.get(nameOf(known))?.delete(user.id);
    const namesakes = this.#namesakes.get(nameOf(user)) ?? new Set();
    this.#namesakes.set(nameOf(user), namesakes.add(user.id));
    this.#users.set(user.id, user);
    this.emit('names', undefined);
  }

  /** @param {number} id */
  get(id) {
    return this.#users.get(id);
  }

  /** What somebody is called; with their user name where others are called the same. @param {number} id @param {string} [otherwise] */
  nameOf(id, otherwise = 'Somebody') {
    const user = this.#users.get(id);
    if (!user) return otherwise;
    const name = nameOf(user);
    return (this.#namesakes.get(name)?.size ?? 0) > 1 ? `${name} (@${user.username})` : name;
  }

  /** @param {number | undefined} id */
  presenceOf(id) {
    return id === undefined ? undefined : this.#presence.get(id);
  }

  /** Ids of those who write there. @param {number} conversation */
  typingIn(conversation) {
    return [...(this.#typing.get(conversation)?.keys() ?? [])];
  }

  /** Wants to know whether these are there, in place of those before. @param {string} part of the page @param {number[]} ids */
  watch(part, ids) {
    if (this.#watched.get(part)?.join() === ids.join()) return;
    this.#watched.set(part, ids);
    this.#switchboard.watchPresence([...new Set([...this.#watched.values()].flat())]);
  }

  /** @param {string} query @param {number} [limit] @returns {Promise<User[]>} */
  async search(query, limit = 8) {
    const { users } = await this.#switchboard.request('GET', '/users', { query: { query, limit } });
    users.forEach((/** @type {User} */ user) => this.learn(user));
    return users;
  }

  /** @param {number} conversation @param {number} user @param {boolean} isTyping */
  #type(conversation, user, isTyping) {
    const typing = this.#typing.get(conversation) ?? new Map();
    if (!isTyping && !typing.has(user)) return;
    clearTimeout(typing.get(user));
    if (isTyping) typing.set(user, window.setTimeout(() => this.#type(conversation, user, false), TYPING_MS));
    else typing.delete(user);
    this.#typing.set(conversation, typing);
    this.emit('typing', conversation);
  }
}
