// The pages of one user in one browser: one of them, the leader, holds the socket and feeds the others.

/** @typedef {import('./environment.js').Environment} Environment */

export class Tabs {
  #locks;
  #name;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  #stop = new AbortController();
  /** @type {() => void} */
  #release = () => {};

  /**
   * @param {string} name one a user and service
   * @param {Environment} environment without locks or channels each page is for itself
   * @param {(message: any) => void} hear told what other pages say
   */
  constructor(name, environment, hear) {
    this.#name = name;
    if (!environment.locks || !environment.BroadcastChannel) return;
    this.#locks = environment.locks;
    this.#channel = new environment.BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => hear(data);
  }

  /** Says something to the other pages. @param {any} message */
  post(message) {
    this.#channel?.postMessage(message);
  }

  /** Waits until this page leads, which may be never: until it closes, or the one that leads does. @returns {Promise<void>} */
  lead() {
    const locks = this.#locks;
    if (!locks) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const held = () =>
        new Promise((release) => {
          this.#release = () => release(undefined);
          resolve();
        });
      locks.request(this.#name, { signal: this.#stop.signal }, held).catch(reject);
    });
  }

  close() {
    this.#stop.abort();
    this.#release();
    this.#channel?.close();
  }
}
