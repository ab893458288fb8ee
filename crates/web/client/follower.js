// A page that is fed by another one.

import { isEntry } from './log.js';

/**
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./log.js').Log} Log
 * @typedef {import('./switchboard.js').Frame} Frame
 */

/** Takes entries from the page that leads, and asks the service for what did not come. */
export class Follower {
  #log;
  #api;
  #signal;
  /** Up to where entries are known to be there. */
  #wanted = 0;
  #isAsking = false;

  /** @param {Log} log @param {Api} api @param {AbortSignal} signal ends it */
  constructor(log, api, signal) {
    this.#log = log;
    this.#api = api;
    this.#signal = signal;
  }

  /** @param {Frame & {seq: number}} entry @param {string} epoch */
  take(entry, epoch) {
    if (epoch !== this.#log.epoch || !this.#log.take(entry)) this.reach(entry.seq, epoch);
  }

  /** Asks until this position is reached. @param {number} seq @param {string} epoch */
  reach(seq, epoch) {
    this.#wanted = epoch === this.#log.epoch ? Math.max(this.#wanted, seq) : Infinity;
    if (this.#isAsking || this.#log.cursor >= this.#wanted) return;
    this.#isAsking = true;
    this.#ask()
      .catch(() => {}) // Signed out or closed: who leads says so.
      .finally(() => {
        this.#isAsking = false;
      });
  }

  async #ask() {
    while (this.#log.cursor < this.#wanted) {
      const query = { cursor: this.#log.cursor, epoch: this.#log.epoch };
      const { events } = await this.#api.persist('GET', '/events', { query, signal: this.#signal });
      for (const event of events) {
        if (event.type === 'reset') this.#log.reset(event);
        else if (isEntry(event)) this.#log.take(event);
      }
      if (events.length === 0 || events[0].type === 'reset') this.#wanted = this.#log.cursor;
    }
  }
}
