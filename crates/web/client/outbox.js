// Messages on their way: each is sent under the same client message id until the service has it, or refuses it for good.

import { backoff, nap } from './environment.js';
import { Refusal } from './http.js';

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Message} Message
 */

/**
 * A message that the service does not have yet, as it is kept.
 *
 * @typedef {object} Outgoing
 * @property {string} id its `client_message_id`
 * @property {number} [recipient_id] this, or `conversation_id`
 * @property {number} [conversation_id]
 * @property {string} subject
 * @property {string} content
 * @property {number} [reply_to_id]
 * @property {number[]} [mention_ids]
 * @property {Blob[]} files
 * @property {number[]} [attachment_ids] of the files, once they are uploaded
 * @property {number} written_at milliseconds since 1970, by this machine's clock
 * @property {{code: string, message: string}} [failure] why it was refused for good; without it, the message is pending
 */

/**
 * How a message left: the service has it, or nobody wants it any more.
 *
 * @typedef {{id: string, message?: Message}} End
 *
 * @typedef {{end?: End}} News of a message that left, or is new or another than before
 */

/**
 * @typedef {object} Listener
 * @property {(item: Outgoing, signal: AbortSignal) => Promise<Message>} deliver one attempt
 * @property {() => void} changed what is in it
 * @property {(what: News) => void} stored what this page changed, for the others
 */

export class Outbox {
  /** In the order of writing. @type {Outgoing[]} */
  items = [];
  #storage;
  #environment;
  #listener;
  /** Who waits for a message that was sent from this page. @type {Map<string, {resolve: (message: Message) => void, reject: (why: Refusal) => void}>} */
  #waiting = new Map();
  /** Conversations that are at work. @type {Set<string>} */
  #lanes = new Set();
  /** What is under way, and what waits for another attempt. @type {Map<string, AbortController>} */
  #attempts = new Map();
  #pauses = new Set();
  #isWorking = false;
  /** Known to be stored, while the storage may still have them. @type {Set<string>} */
  #settled = new Set();
  /** What is read and written goes one after the other. @type {Promise<void>} */
  #loads = Promise.resolve();
  /** A reading that has not begun. @type {Promise<void> | undefined} */
  #queued;
  /** Of other pages: what was read meanwhile may still have them. */
  #n_ends = 0;

  /** @param {Storage} storage @param {Environment} environment @param {Listener} listener */
  constructor(storage, environment, listener) {
    this.#storage = storage;
    this.#environment = environment;
    this.#listener = listener;
  }

  /** Begins to send. Before, messages only wait. */
  start() {
    this.#isWorking = true;
    return this.sync();
  }

  /** What is under way ends, and waits for the next start of this or another page. */
  stop() {
    this.#isWorking = false;
    for (const attempt of this.#attempts.values()) attempt.abort(new Refusal('interrupted', 'another page sends it'));
  }

  /** Nobody waits any more. What is in it is kept. */
  close() {
    this.stop();
    for (const id of [...this.#waiting.keys()]) this.#refuse(id, new Refusal('closed', 'the client was closed'));
  }

  /** What waits for its next attempt has it now. */
  resume() {
    for (const wake of this.#pauses) wake();
  }

  /** Reads again what is stored. */
  sync() {
    this.#queued ??= this.#then(() => this.#read());
    return this.#queued;
  }

  /** Does something after what is under way, whatever comes of that. @param {() => Promise<void> | void} work */
  #then(work) {
    this.#loads = this.#loads.catch(() => {}).then(work);
    return this.#loads;
  }

  async #read() {
    this.#queued = undefined;
    for (let n_ends = -1; n_ends !== this.#n_ends; ) {
      n_ends = this.#n_ends;
      const items = await this.#storage.load();
      this.items = items.filter(({ id }) => !this.#settled.has(id));
    }
    // Another page sends what was written here.
    for (const { id, failure } of this.items) if (failure) this.#refuse(id, new Refusal(failure.code, failure.message));
    this.#show();
  }

  #show() {
    this.#listener.changed();
    this.#work();
  }

  /**
   * Keeps a message and sends it when its turn comes.
   *
   * @param {Outgoing} item
   * @returns {Promise<Message>} once the service has it; rejects with a `Refusal` if it never will
   */
  async add(item) {
    const sent = new Promise((resolve, reject) => this.#waiting.set(item.id, { resolve, reject }));
    await this.#store(item);
    return sent;
  }

  /** Sends one that was refused once more. @param {string} id */
  async retry(id) {
    const found = this.#find(id);
    if (!found?.failure) return;
    const { failure, ...item } = found;
    // An upload that no message had for a day is gone.
    if (failure.code === 'unknown_attachment') delete item.attachment_ids;
    await this.#store(item);
  }

  /** Takes a message out. If an attempt is under way, it may be stored all the same. @param {string} id */
  async discard(id) {
    await this.#remove({ id });
  }

  /** Another page changed something, and has stored that. @param {News} news */
  hear({ end }) {
    if (!end) return void this.sync().catch(() => {});
    this.#n_ends += 1;
    this.#take(end);
  }

  /** The service has it: an answer says so, or an entry of the mailbox, whichever comes first. @param {string} id @param {Message} message */
  settle(id, message) {
    if (this.#find(id)) this.#remove({ id, message }).catch(() => {});
    else this.#take({ id, message });
  }

  /** @param {string} id */
  #find(id) {
    return this.items.find((item) => item.id === id);
  }

  /** @param {Outgoing} item */
  async #store(item) {
    await this.#storage.put(item);
    this.#listener.stored({});
    // What another page wrote before it stands before it.
    await this.sync().catch(() => this.#replace(item));
  }

  /** @param {Outgoing} item */
  #replace(item) {
    const place = this.items.findIndex(({ id }) => id === item.id);
    this.items.splice(place < 0 ? this.items.length : place, 1, item);
    this.#show();
  }

  /** @param {string} id @param {Refusal} why */
  #refuse(id, why) {
    this.#waiting.get(id)?.reject(why);
    this.#waiting.delete(id);
  }

  /** @param {End} end */
  #take({ id, message }) {
    if (message) this.#waiting.get(id)?.resolve(message);
    this.#refuse(id, new Refusal('discarded', 'the message was discarded'));
    if (!this.#find(id)) return;
    this.items = this.items.filter((item) => item.id !== id);
    this.#attempts.get(id)?.abort(new Refusal('discarded', 'the message is on its way no more'));
    this.#listener.changed();
  }

  /** @param {End} end */
  async #remove(end) {
    const { id } = end;
    this.#settled.add(id);
    this.#take(end);
    await this.#storage.remove(id);
    this.#listener.stored({ end });
    // Whoever reads the storage from now on does not find it.
    void this.#then(() => void this.#settled.delete(id));
  }

  #work() {
    if (!this.#isWorking) return;
    for (const item of this.items) {
      const lane = laneOf(item);
      if (!this.#lanes.has(lane)) void this.#run(lane);
    }
  }

  /** Sends the messages of a conversation one after the other, so that they are stored in the order of writing. @param {string} lane */
  async #run(lane) {
    this.#lanes.add(lane);
    const next = () => this.items.find((item) => laneOf(item) === lane && !item.failure);
    try {
      for (let item; this.#isWorking && (item = next()); ) await this.#deliver(item);
    } finally {
      this.#lanes.delete(lane);
    }
  }

  /** @param {Outgoing} item */
  async #deliver(item) {
    const attempt = new AbortController();
    this.#attempts.set(item.id, attempt);
    try {
      for (let failures = 0; ; failures += 1) {
        try {
          return this.settle(item.id, await this.#listener.deliver(item, attempt.signal));
        } catch (error) {
          // Who has no credentials any more may have others later: that says nothing of the message.
          const isPassing = error instanceof Refusal && (error.isPassing || error.isUnauthorized);
          if (!isPassing || attempt.signal.aborted) throw error;
          await this.#pause(error.retryAfterMs + backoff(this.#environment, failures), attempt.signal);
        }
      }
    } catch (error) {
      if (!attempt.signal.aborted) await this.#fail(item, error);
    } finally {
      this.#attempts.delete(item.id);
    }
  }

  /** @param {number} ms @param {AbortSignal} signal */
  async #pause(ms, signal) {
    const { over, wake } = nap(this.#environment, ms, signal);
    this.#pauses.add(wake);
    await over.finally(() => this.#pauses.delete(wake));
  }

  /** @param {Outgoing} item @param {unknown} error */
  async #fail(item, error) {
    const refusal = error instanceof Refusal ? error : new Refusal('internal', String(error));
    this.#refuse(item.id, refusal);
    const failed = { ...item, failure: { code: refusal.code, message: refusal.message } };
    // Also where it cannot be stored: those behind it are not to wait.
    await this.#store(failed).catch(() => this.#find(item.id) && this.#replace(failed));
  }
}

/** @param {Outgoing} item */
const laneOf = ({ recipient_id, conversation_id }) => (conversation_id === undefined ? `u${recipient_id}` : `c${conversation_id}`);
