// A cursor on the mailbox.

/** @typedef {import('./switchboard.js').Frame} Frame */

/** The mailbox as far as this client knows it: each entry is handed over once, in order. */
export class Log {
  #apply;
  #reset;

  /**
   * @param {number} cursor the position of the last entry that is known
   * @param {string} epoch of the mailbox: in another one the same positions mean other entries
   * @param {(entry: Frame) => void} apply told each next entry
   * @param {() => void} reset told that what is known must be loaded anew
   */
  constructor(cursor, epoch, apply, reset) {
    this.cursor = cursor;
    this.epoch = epoch;
    this.#apply = apply;
    this.#reset = reset;
  }

  /**
   * Takes an entry, if it is the next one.
   *
   * @param {Frame & {seq: number}} entry
   * @returns {boolean} false if some before it are missing: then the service has to be asked from the cursor on
   */
  take(entry) {
    if (entry.seq > this.cursor + 1) return false;
    if (entry.seq === this.cursor + 1) {
      this.cursor = entry.seq;
      this.#apply(entry);
    }
    return true;
  }

  /** @param {{cursor: number, epoch: string}} place */
  reset({ cursor, epoch }) {
    [this.cursor, this.epoch] = [cursor, epoch];
    this.#reset();
  }
}

/** Whether a frame is an entry: one that only answers a request has a position too. @param {Frame} frame @returns {frame is Frame & {seq: number}} */
export const isEntry = (frame) => typeof frame.seq === 'number' && frame.repeat !== true;
