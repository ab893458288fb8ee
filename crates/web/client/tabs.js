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
  #robbed;

  /**
   * @param {string} name one a user and service
   * @param {Environment} environment without locks or channels each page is for itself
   * @param {(message: any) => void} hear told what other pages say
   * @param {() => void} robbed told that another page leads, since this one did not answer
   */
  constructor(name, environment, hear, robbed) {
    this.#name = name;
    this.#robbed = robbed;
    if (!environment.BroadcastChannel) return;
    this.#locks = environment.locks;
    this.#channel = new environment.BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => hear(data);
  }

  /** Says something to the other pages. @param {any} message */
  post(message) {
    this.#channel?.postMessage(message);
  }

  /** Whether there may be another page that leads. */
  get areMany() {
    return this.#locks !== undefined;
  }

  /**
   * Waits until this page leads, which may be never: until it closes, or the one that leads does.
   *
   * @param {boolean} [steals] takes the lead from a page that does not answer
   * @returns {Promise<void>}
   */
  lead(steals = false) {
    const { signal } = this.#stop;
    const locks = this.#locks;
    if (!locks) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let leads = false;
      const held = () =>
        new Promise((release) => {
          leads = true;
          this.#release = () => release(undefined);
          resolve();
        });
      const lost = (/** @type {unknown} */ why) => {
        reject(why);
        if (leads && !signal.aborted) this.#robbed();
      };
      locks.request(this.#name, steals ? { steal: true } : { signal }, held).catch(lost);
    });
  }

  close() {
    this.#stop.abort();
    this.#release();
    this.#channel?.close();
    // A closed one throws when it is told something.
    this.#channel = undefined;
  }
}
