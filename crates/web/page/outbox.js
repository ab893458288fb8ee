// Messages on their way: each is sent again under the same client message id until the service took it or
// refused it for good. One at a time, so that they are stored in the order in which they were written.

import * as api from './api.js';

/**
 * @typedef {object} Draft
 * @property {import('./api.js').User} recipient
 * @property {string} subject
 * @property {string} content
 * @property {File[]} files
 * @typedef {Draft & {id: string, state: 'sending' | 'waiting' | 'refused', why: string, attachmentIds?: number[],
 *   stop: AbortController}} Outgoing
 */

/** Names a message for its sender. `randomUUID` is not there on plain HTTP. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Outbox {
  /** In the order of writing. @type {Outgoing[]} */
  items = [];
  #listener;
  #isAtWork = false;

  /**
   * @param {object} listener
   * @param {() => void} listener.changed
   * @param {(draft: Draft, message: import('./api.js').Message) => void} listener.sent
   * @param {(error: api.Refusal) => void} listener.loggedOut
   */
  constructor(listener) {
    this.#listener = listener;
  }

  /** @param {Draft} draft */
  add(draft) {
    this.items.push({ ...draft, id: newId(), state: 'sending', why: '', stop: new AbortController() });
    this.#work();
  }

  /** Takes a message out. If an attempt is under way, it may be stored all the same. @param {Outgoing} item */
  discard(item) {
    item.stop.abort();
    this.items = this.items.filter((other) => other !== item);
    this.#listener.changed();
  }

  /**
   * The service has it, as its answer says, or an entry of the mailbox, whichever comes first.
   * @param {string | undefined} id
   * @param {import('./api.js').Message} message
   */
  settle(id, message) {
    const item = this.items.find((other) => other.id === id);
    if (!item) return;
    this.discard(item);
    this.#listener.sent(item, message);
  }

  stop() {
    for (const item of this.items) item.stop.abort();
    this.items = [];
  }

  async #work() {
    this.#listener.changed();
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    for (let item; (item = this.items.find(({ state }) => state !== 'refused')); ) await this.#deliver(item);
    this.#isAtWork = false;
  }

  /** @param {Outgoing} item */
  async #deliver(item) {
    try {
      const { data } = await api.persist(() => this.#attempt(item), item.stop.signal, (why) => {
        Object.assign(item, { state: 'waiting', why: why.message });
        this.#listener.changed();
      });
      this.settle(item.id, data);
    } catch (error) {
      if (item.stop.signal.aborted) return;
      Object.assign(item, { state: 'refused', why: error instanceof Error ? error.message : String(error) });
      if (error instanceof api.Refusal && error.status === 401) this.#listener.loggedOut(error);
      this.#listener.changed();
    }
  }

  /** Files are uploaded once: the service compares a repeated message with the first. @param {Outgoing} item */
  async #attempt(item) {
    const { recipient, subject, content, files, stop } = item;
    item.state = 'sending';
    this.#listener.changed();
    if (!item.attachmentIds) {
      const uploaded = files.length ? (await api.upload(files, stop.signal)).attachments : [];
      item.attachmentIds = uploaded.map(({ id }) => id);
    }
    const message = { recipient_id: recipient.id, subject, content, client_message_id: item.id };
    return api.send({ ...message, attachment_ids: item.attachmentIds }, stop.signal);
  }
}
