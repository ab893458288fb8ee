// One attempt to send a message of the outbox: first its files, then itself, over the connection that stands or over HTTP.

import { Refusal } from './http.js';

/**
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Frame} Frame
 * @typedef {import('./switchboard.js').Message} Message
 *
 * @typedef {object} Listener
 * @property {(frame: object) => boolean} send over the connection that stands; false if there is none that takes it
 * @property {(progress: {id: string, sent: number, total: number}) => void} progress of its files
 */

export class Delivery {
  #api;
  #storage;
  #listener;
  /** Sent over the connection that stands, and not answered. @type {Map<string, (why: Refusal) => void>} */
  #unanswered = new Map();

  /** @param {Api} api @param {Storage} storage @param {Listener} listener */
  constructor(api, storage, listener) {
    this.#api = api;
    this.#storage = storage;
    this.#listener = listener;
  }

  /** @param {Outgoing} item @param {AbortSignal} signal ends it, also when the message is known to be stored @returns {Promise<Message>} */
  async attempt(item, signal) {
    await this.#upload(item, signal);
    signal.throwIfAborted();
    const { id, files: _, place: __, written_at: ___, failure: ____, ...message } = /** @type {Outgoing & {place?: number}} */ (item);
    const body = { ...message, client_message_id: id };
    if (!this.#listener.send({ type: 'send_message', ...body })) {
      return (await this.#api.request('POST', '/messages', { body, signal })).data;
    }
    // The entry that says that it is stored, or a repeat, settles it, and so ends the attempt.
    return new Promise((_, reject) => {
      const refuse = (/** @type {Refusal} */ why) => {
        this.#unanswered.delete(id);
        signal.removeEventListener('abort', end);
        reject(why);
      };
      const end = () => refuse(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      this.#unanswered.set(id, refuse);
    });
  }

  /** The service refused one. @param {string} id @param {Refusal} why */
  refuse(id, why) {
    this.#unanswered.get(id)?.(why);
  }

  /** What was sent over a connection that is no more has to be sent again: whether it arrived is unknown. */
  interrupt() {
    for (const reject of this.#unanswered.values()) reject(new Refusal('interrupted', 'the connection was lost'));
  }

  /** Each file once: the service compares a repeated message with the first. @param {Outgoing} item @param {AbortSignal} signal */
  async #upload(item, signal) {
    const total = item.files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    for (const [nth, file] of item.files.entries()) {
      const ids = item.attachment_ids ?? [];
      const progress = (/** @type {number} */ sent) =>
        this.#listener.progress({ id: item.id, sent: before + Math.min(sent, file.size), total });
      if (nth >= ids.length) {
        // A browser holds a file by its name: it may be gone, or another one by now.
        await file.slice(0, 1).arrayBuffer().catch(() => {
          throw new Refusal('unreadable', 'a file is not there any more, or was changed');
        });
        item.attachment_ids = [...ids, (await this.#api.upload(file, { progress, signal })).id];
        await this.#storage.put(item);
      }
      before += file.size;
    }
  }
}
