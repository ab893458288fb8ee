// The pages of one user in one browser: one of them, the leader, holds the socket and feeds the others.

/**
 * @typedef {import('./environment.js').Environment} Environment
 *
 * @typedef {object} Listener
 * @property {(message: any) => void} hear what another page says
 * @property {() => void} leads this page does, from now on
 * @property {() => void} robbed another page leads, since this one did not answer
 * @property {() => object} place what this page says of itself to the one that leads
 */

/** A page that leads and says nothing for so long when asked does not lead, in milliseconds. */
const LEADER_MS = 10_000;

export class Tabs {
  #environment;
  #locks;
  #name;
  #listener;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  #stop = new AbortController();
  /** @type {() => void} */
  #release = () => {};
  /** Whether the page that leads was heard since it was last asked. */
  #isLed = true;
  /** @type {any} */
  #watch;

  /** @param {string} name one a user and service @param {Environment} environment without locks or channels each page is for itself @param {Listener} listener */
  constructor(name, environment, listener) {
    this.#name = name;
    this.#environment = environment;
    this.#listener = listener;
    if (!environment.BroadcastChannel) return;
    this.#locks = environment.locks;
    this.#channel = new environment.BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => {
      this.#isLed ||= data.kind === 'state';
      listener.hear(data);
    };
  }

  /** Says something to the other pages. @param {any} message */
  post(message) {
    this.#channel?.postMessage(message);
  }

  /** Says to the page that leads that this one is there. */
  hello() {
    // Where each page is for itself, nobody speaks for it.
    if (this.#locks) this.post({ kind: 'hello', place: this.#listener.place() });
  }

  /** Leads as soon as it may, which may be never; until then it looks after the page that does. */
  start() {
    this.#await(false);
  }

  /** @param {boolean} steals takes the lead from a page that does not answer */
  #await(steals) {
    this.#lead(steals).then(
      () => {
        this.#environment.clearTimeout(this.#watch);
        if (!this.#stop.signal.aborted) this.#listener.leads();
      },
      () => {},
    );
    if (this.#locks) this.#lookAfter();
  }

  /** A page that leads and does not answer, frozen or behind a dialog, leads no more. */
  #lookAfter() {
    this.#environment.clearTimeout(this.#watch);
    this.#isLed = false;
    this.hello();
    this.#watch = this.#environment.setTimeout(() => {
      if (this.#isLed) this.#lookAfter();
      else this.#await(true);
    }, LEADER_MS);
  }

  /** Waits for the lead. @param {boolean} steals @returns {Promise<void>} */
  #lead(steals) {
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
        if (!leads || signal.aborted) return;
        this.#listener.robbed();
        this.#await(false);
      };
      locks.request(this.#name, steals ? { steal: true } : { signal }, held).catch(lost);
    });
  }

  close() {
    this.#stop.abort();
    this.#release();
    this.#environment.clearTimeout(this.#watch);
    this.#channel?.close();
    // A closed one throws when it is told something.
    this.#channel = undefined;
  }
}
