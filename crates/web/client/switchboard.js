// A client of Switchboard for browsers, and for Node with a `WebSocket` class: it follows the mailbox of one user over whatever
// transport works, applies each entry once and in order, and keeps what is sent until the service has it.

import { Emitter } from './events.js';
import { backoff, nap, surroundings } from './environment.js';
import { Api, Refusal } from './http.js';
import { Session } from './session.js';

export { Refusal };

/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 *
 * @typedef {{type: string, seq?: number, repeat?: boolean} & Record<string, any>} Frame
 *
 * @typedef {{id: number, username: string, full_name: string}} User
 * @typedef {User & {role: string, has_password?: boolean, epoch: string, cursor: number, unread_count: number}} Me
 * @typedef {{id: number, filename: string, file_size: number, media_type: string, url: string}} Attachment
 * @typedef {object} Limits what the service takes; more of it is refused
 * @property {number} frame_bytes
 * @property {number} content_bytes in UTF-8
 * @property {number} subject_chars Unicode scalar values
 * @property {number} attachments of a message
 * @property {number} attachment_bytes of a file
 * @property {number} messages_per_second on average
 * @typedef {object} Message as the wire reference has it
 * @property {number} message_id
 * @property {number} conversation_id
 * @property {string} sender
 * @property {number} sender_id
 * @property {number} [recipient_id] in a conversation of two
 * @property {string} subject
 * @property {string} content
 * @property {string} created_at
 * @property {boolean} is_read
 * @property {Attachment[]} attachments
 *
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./presence.js').Place} Place
 */

/**
 * How things stand with the service.
 *
 * - `closed`: before `connect`, and after `close`.
 * - `connecting`: the first attempt.
 * - `live`: entries come as they are written.
 * - `polling`: every five seconds, since nothing better works here. It goes on looking for something better.
 * - `reconnecting`: waits for `attempt` until `retryAt`.
 * - `offline`: the same without a network.
 * - `signed out`: the credentials do not count any more. `connect` begins anew.
 * - `stopped`: the service does not want this client as it is, for `reason`.
 *
 * @typedef {object} State
 * @property {'closed' | 'connecting' | 'live' | 'polling' | 'reconnecting' | 'offline' | 'signed out' | 'stopped'} name
 * @property {'websocket' | 'stream' | 'poll'} [transport]
 * @property {number} [attempt] how many attempts in a row came to nothing
 * @property {number} [retryAt] milliseconds since 1970
 * @property {string} [reason] for people who look into it
 */

/**
 * @typedef {object} Options
 * @property {string} [url] the origin of the service; that of the page, if not given
 * @property {string | ((expired: boolean) => string | Promise<string>)} [token] what stands after `Bearer`, or what gives it,
 *   and another when it has expired. Without it the browser's cookie says who asks
 * @property {typeof globalThis.WebSocket} [WebSocket] where there is none, as in Node 20
 * @property {Partial<Environment>} [environment] for tests
 */

/**
 * A message to be sent, to a user or to a conversation.
 *
 * @typedef {object} Draft
 * @property {number} [recipient_id] this
 * @property {number} [conversation_id] or this
 * @property {string} [content]
 * @property {string} [subject]
 * @property {number} [reply_to_id]
 * @property {number[]} [mention_ids]
 * @property {Blob[]} [files]
 */

/**
 * What is told by name: each frame under its type (`new_message`, `message_sent`, `typing`, …), and besides
 *
 * @typedef {{
 *   me: Me,
 *   state: State,
 *   entry: Frame,
 *   reset: undefined,
 *   unread: number,
 *   outbox: Outgoing[],
 *   progress: {id: string, sent: number, total: number},
 * } & Record<string, any>} Events `me`: it is known who this is, and `send` works; entries come after it.
 *   `entry`: each entry, once, in order. `reset`: load anew what was loaded. `outbox`: what is on its way, in order.
 *   `progress`: of the files of an outgoing message, in bytes
 */

/** A typing notice is passed on no more often than this, in milliseconds. */
const TYPING_MS = 3_000;
/** Of a node that is configured no otherwise. @type {Limits} */
const LIMITS = {
  frame_bytes: 262_144,
  content_bytes: 32_768,
  subject_chars: 255,
  attachments: 10,
  attachment_bytes: 26_214_400,
  messages_per_second: 20,
};

/** @extends {Emitter<Events>} */
export class Switchboard extends Emitter {
  /** @type {State} */
  state = { name: 'closed' };
  /** Who this is, once that is known. @type {Me | undefined} */
  me;
  /** Messages received and not read. */
  unread = 0;
  /** What the service takes: by default, until a node said otherwise. */
  limits = LIMITS;
  /** @type {Environment} */
  #environment;
  #api;
  /** @type {Options['token']} */
  #token;
  /** The one in use. @type {string | undefined} */
  #bearer;
  #stop = new AbortController();
  /** Ends a wait early. */
  #wake = () => {};
  #unwatch = () => {};
  /** @type {Session | undefined} */
  #session;
  /** When it was last said that this user types, by whom it is for. @type {Map<string, number>} */
  #typed = new Map();
  /** @type {Place} */
  #place = { page: newId(), version: 0, watched: [], isPresent: true };

  /** @param {Options} [options] */
  constructor({ url = globalThis.location?.origin, token, WebSocket, environment } = {}) {
    super();
    if (url === undefined) throw new TypeError('there is no page whose origin could be meant: `url` is needed');
    this.#environment = { ...surroundings(), ...(WebSocket && { WebSocket }), ...environment };
    this.#token = token;
    this.#bearer = typeof token === 'string' ? token : undefined;
    this.#api = new Api(url, this.#environment, (refused) => this.#credentials(refused), () => this.#session?.doubt());
  }

  /** What is on its way, in the order of writing. @returns {readonly Outgoing[]} */
  get outbox() {
    return this.#session?.outbox.items ?? [];
  }

  /**
   * Follows the mailbox from its present end on, until `close`.
   *
   * @returns {Promise<Me>} once entries come; until then attempts go on
   * @throws {Refusal} if the credentials do not count, or the service does not want this client
   */
  async connect() {
    this.#end({ name: 'closed' });
    this.#stop = new AbortController();
    // Whoever it was, it may be anybody now.
    this.#api.user = undefined;
    const { signal } = this.#stop;
    this.#say({ name: this.#environment.isOnline() ? 'connecting' : 'offline' });
    this.#unwatch = this.#environment.watch(
      () => this.#woke(),
      () => this.#session?.went(),
      () => this.#session?.left(),
    );
    const me = await this.#introduce(signal);
    const name = `switchboard ${this.#api.url} ${me.id}`;
    const storage = await this.#environment.openStorage(name);
    signal.throwIfAborted();
    this.me = me;
    this.#api.user = me.id;
    this.unread = me.unread_count;
    const session = this.#begin(name, me, storage);
    this.#session = session;
    await session.load();
    signal.throwIfAborted();
    this.emit('unread', this.unread);
    this.emit('me', me);
    // Who heard that may have closed it.
    signal.throwIfAborted();
    session.start();
    await this.#isSettled(signal);
    return me;
  }

  /** Ends the connection. What is in the outbox is sent another time. */
  close() {
    this.#end({ name: 'closed' });
  }

  /** Ends the session of this browser, on all its pages. Only where a cookie says who asks. */
  async logOut() {
    const { signal } = this.#stop;
    await this.#api.persist('POST', '/auth/logout', { signal }).catch((error) => {
      // The news may come back before the answer, and an answer that was lost is followed by this one.
      if (this.state.name !== 'signed out' && !error.isUnauthorized) throw error;
    });
    this.#session?.signOut();
    this.#end({ name: 'signed out', reason: 'logged out' });
  }

  /**
   * Sends a message. It is kept, here and over a reload, and sent again until the service has it; those to one recipient or
   * conversation arrive in the order of their writing. Meanwhile it stands in `outbox`.
   *
   * @param {Draft} draft
   * @returns {Promise<Message>} once it is stored
   * @throws {Refusal} if it never will be; it stays in `outbox` with its `failure`, for `retry` or `discard`
   */
  send(draft) {
    const sent = this.#write(draft);
    // Who does not wait for it sees in the outbox what became of it.
    sent.catch(() => {});
    return sent;
  }

  /** @param {Draft} draft @returns {Promise<Message>} */
  async #write({ recipient_id, conversation_id, content = '', subject = '', reply_to_id, mention_ids, files = [] }) {
    if ((recipient_id === undefined) === (conversation_id === undefined)) {
      throw new TypeError('a message has either `recipient_id` or `conversation_id`');
    }
    const to = recipient_id === undefined ? { conversation_id } : { recipient_id };
    const about = { ...(reply_to_id && { reply_to_id }), ...(mention_ids?.length && { mention_ids }) };
    const written_at = this.#environment.now();
    const item = { id: newId(), ...to, subject, content, ...about, files, written_at };
    if (!this.#session) await this.#isKnown();
    return this.#outgoing().add(item);
  }

  /** Sends a message of the outbox again that was refused. @param {string} id */
  retry(id) {
    return this.#outgoing().retry(id);
  }

  /** Takes a message out of the outbox. If it is under way, it may arrive all the same. @param {string} id */
  discard(id) {
    return this.#outgoing().discard(id);
  }

  /**
   * Marks a received message as read, or all of a conversation up to one.
   *
   * @param {{message_id: number} | {conversation_id: number, up_to: number}} which
   * @throws {Refusal} such as `not_found`
   */
  async markRead(which) {
    const path = 'message_id' in which ? `/messages/${which.message_id}/read` : `/conversations/${which.conversation_id}/read`;
    const body = 'up_to' in which ? { up_to: which.up_to } : undefined;
    await this.#api.persist('POST', path, { body, signal: this.#stop.signal });
  }

  /**
   * Tells the others in a conversation that this user writes, or does so no more. To be called at each key: most calls are
   * passed over. Nothing is promised of it.
   *
   * @param {{recipient_id: number} | {conversation_id: number}} to
   * @param {boolean} [isTyping]
   */
  typing(to, isTyping = true) {
    const key = JSON.stringify(to);
    const last = this.#typed.get(key);
    const now = this.#environment.now();
    if (isTyping ? last !== undefined && Math.abs(now - last) < TYPING_MS : last === undefined) return;
    if (isTyping) this.#typed.set(key, now);
    else this.#typed.delete(key);
    const notice = { ...to, is_typing: isTyping };
    if (this.#session?.send({ type: 'typing', ...notice })) return;
    this.#api.request('POST', '/typing', { body: notice, signal: this.#stop.signal }).catch(() => {});
  }

  /**
   * Wants to know of these users whether they are there, in place of those whom this page named before: a `presence` of each
   * is told, and one of each change.
   *
   * @param {number[]} userIds all pages of a browser watch 1000 at most: those whom a page named last go first
   */
  watchPresence(userIds) {
    if (!userIds.every((id) => Number.isSafeInteger(id) && id >= 0)) throw new TypeError('`userIds` is a list of ids');
    this.#says({ version: this.#place.version + 1, watched: [...userIds] });
  }

  /** Says whether somebody is at this page, as it is at first. Where nobody is at any page, this user is `away`. @param {boolean} isPresent */
  setPresent(isPresent) {
    this.#says({ isPresent });
  }

  /** @param {Partial<Place>} change */
  #says(change) {
    this.#place = { ...this.#place, ...change };
    this.#session?.says(this.#place);
  }

  /**
   * A page of a conversation, the newest messages first: the latest, those before a message, or those that follow one.
   *
   * @param {number} conversationId
   * @param {{before?: number, after?: number, limit?: number}} [options] `before` or `after` of the page next to it
   * @returns {Promise<{messages: Message[], before?: number, after?: number}>}
   */
  history(conversationId, { before, after, limit } = {}) {
    const query = { before, after, limit };
    return this.#api.persist('GET', `/conversations/${conversationId}/messages`, { query, signal: this.#stop.signal });
  }

  /**
   * Uploads a file by itself. `send` does that for the files of a message.
   *
   * @param {Blob} file
   * @param {{filename?: string, progress?: (sent: number, total: number) => void, signal?: AbortSignal}} [options] in bytes
   * @returns {Promise<Attachment>}
   */
  upload(file, options) {
    return this.#api.upload(file, options);
  }

  /**
   * Any other request of the HTTP API, once.
   *
   * @param {string} method
   * @param {string} path below `/api/v1`
   * @param {import('./http.js').RequestOptions} [options]
   * @returns {Promise<any>}
   */
  request(method, path, options) {
    return this.#api.request(method, path, options);
  }

  #outgoing() {
    if (!this.#session) throw new Refusal('closed', 'the client is not connected');
    return this.#session.outbox;
  }

  /** @param {string} [refused] a token that does not count */
  async #credentials(refused) {
    const isExpired = refused !== undefined && refused === this.#bearer;
    if (typeof this.#token === 'function' && (this.#bearer === undefined || isExpired)) {
      this.#bearer = await this.#token(isExpired);
    }
    return this.#bearer;
  }

  /** Asks who this is, until that is answered. @param {AbortSignal} signal @returns {Promise<Me>} */
  async #introduce(signal) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#api.request('GET', '/me', { signal });
      } catch (error) {
        signal.throwIfAborted();
        const refusal = error instanceof Refusal ? error : new Refusal('internal', String(error));
        if (!refusal.isPassing) {
          this.#end({ name: refusal.isUnauthorized ? 'signed out' : 'stopped', reason: refusal.message });
          throw refusal;
        }
        const ms = refusal.retryAfterMs + backoff(this.#environment, attempt);
        const name = this.#environment.isOnline() ? 'reconnecting' : 'offline';
        this.#say({ name, attempt: attempt + 1, retryAt: this.#environment.now() + ms, reason: refusal.message });
        const { over, wake } = nap(this.#environment, ms, signal);
        this.#wake = wake;
        await over;
      }
    }
  }

  /** @param {string} name @param {Me} me @param {import('./storage.js').Storage} storage */
  #begin(name, me, storage) {
    return new Session(name, me, this.#place, storage, this.#api, this.#environment, {
      state: (state) => (state.name === 'signed out' || state.name === 'stopped' ? this.#end(state) : this.#say(state)),
      entry: (entry) => {
        this.emit('entry', entry);
        this.emit(entry.type, entry);
      },
      frame: (frame) => this.emit(frame.type, frame),
      reset: () => this.emit('reset', undefined),
      limits: (limits) => {
        this.limits = { ...this.limits, ...limits };
      },
      unread: (unread) => {
        this.unread = unread;
        this.emit('unread', unread);
      },
      outbox: () => this.emit('outbox', [...this.outbox]),
      progress: (progress) => this.emit('progress', progress),
      renew: () => this.#credentials(this.#bearer),
    });
  }

  #woke() {
    this.#wake();
    this.#session?.woke();
  }

  /** Waits until it is known who this is, if that is being asked. @returns {Promise<void>} */
  #isKnown() {
    const { signal } = this.#stop;
    if (this.state.name === 'closed' || signal.aborted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const off = this.on('me', () => resolve(off()));
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /** Waits until entries come, or never will. @param {AbortSignal} signal @returns {Promise<void>} */
  #isSettled(signal) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const { name, reason = 'the client was closed' } = this.state;
        if (name === 'live' || name === 'polling') resolve();
        else if (signal.aborted) reject(new Refusal(name.replace(' ', '_'), reason));
        else return;
        off();
      };
      const off = this.on('state', look);
      look();
    });
  }

  /** @param {State} state */
  #say(state) {
    // A page that is fed hears the same again and again.
    const { name, transport, attempt, retryAt } = this.state;
    const isSame = state.name === name && state.transport === transport && state.attempt === attempt && state.retryAt === retryAt;
    if (isSame) return;
    this.state = state;
    this.emit('state', state);
  }

  /** @param {State} state the last one */
  #end(state) {
    if (this.state.name === state.name) return;
    this.#stop.abort(new Refusal('closed', 'the client was closed'));
    this.#unwatch();
    this.#session?.end();
    this.#session = undefined;
    this.#say(state);
  }
}

/** Names a message for its sender. `randomUUID` is not there on plain HTTP. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
