// Who is there: whom the pages of this browser watch, and whether somebody is at one of them. The page that leads says both to
// the service.

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./http.js').Refusal} Refusal
 * @typedef {import('./switchboard.js').Frame} Frame
 *
 * @typedef {object} Place what a page says of itself
 * @property {string} page its name
 * @property {number} version another one whenever it wants to be told of those whom it watches
 * @property {number[]} watched
 * @property {boolean} isPresent whether somebody is at it
 *
 * @typedef {object} Listener
 * @property {(frame: object) => boolean} send over the connection that stands; false if it takes none
 * @property {(frame: Frame) => void} told a `presence` that was asked for over HTTP
 */

/** Names the request in an error. */
export const WATCH = 'watch_presence';
/** So many users are watched at most: more of them the service refuses. */
const WATCHED = 1_000;
/** The service answers no sooner, in milliseconds. */
const PACE_MS = 1_000;
/** After a refusal that names no time, and between two looks over HTTP. */
const RETRY_MS = 30_000;
/** Users of one look over HTTP: proxies want short addresses. */
const LOOK = 200;
/** A page that says nothing for so long is gone. Browsers let a hidden one say something once a minute. */
const GONE_MS = 180_000;

export class Presence {
  /** Of this page. @type {Place} */
  #place;
  #api;
  #environment;
  #listener;
  /** By name; whose list is the newest comes last. @type {Map<string, Place>} */
  #pages = new Map();
  /** Of the other pages. @type {Map<string, any>} */
  #forgets = new Map();
  #isOpen = false;
  /** What the service was told on this connection. */
  #isWatching = false;
  #isAway = false;
  /** Until it may be asked again; what comes meanwhile is due then. @type {any} */
  #pause;
  #isDue = false;
  /** The next look over HTTP, and what ends the present one. @type {any} */
  #next;
  #stop = new AbortController();

  /** @param {Place} place @param {Api} api @param {Environment} environment @param {Listener} listener */
  constructor(place, api, environment, listener) {
    this.#place = place;
    this.#api = api;
    this.#environment = environment;
    this.#listener = listener;
    this.#pages.set(place.page, place);
  }

  get place() {
    return this.#place;
  }

  /** @param {Place} place */
  set place(place) {
    this.#place = place;
    this.#note(place);
  }

  /** Another page is there, and perhaps says something new. @param {Place} place */
  hear(place) {
    const { page } = place;
    this.#environment.clearTimeout(this.#forgets.get(page));
    this.#forgets.set(page, this.#environment.setTimeout(() => this.forget(page), GONE_MS));
    this.#note(place);
  }

  /** @param {Place} place */
  #note(place) {
    const known = this.#pages.get(place.page);
    const isNew = known?.version !== place.version;
    // What is set anew comes last.
    if (isNew) this.#pages.delete(place.page);
    this.#pages.set(place.page, place);
    if (isNew && (place.watched.length || known?.watched.length)) this.#watch();
    this.#stand();
  }

  /** Another page is gone. @param {string} page */
  forget(page) {
    this.#environment.clearTimeout(this.#forgets.get(page));
    this.#forgets.delete(page);
    const known = this.#pages.get(page);
    this.#pages.delete(page);
    if (known?.watched.length) this.#watch();
    this.#stand();
  }

  /** There is a connection, which was told nothing yet. */
  opened() {
    this.closed();
    this.#isOpen = true;
    this.#watch();
    this.#stand();
  }

  /** There is none any more. */
  closed() {
    for (const timer of [this.#pause, this.#next]) this.#environment.clearTimeout(timer);
    this.#stop.abort();
    this.#pause = undefined;
    this.#isOpen = this.#isWatching = this.#isAway = false;
  }

  /** This page does not lead any more. */
  end() {
    this.closed();
    for (const page of [...this.#forgets.keys()]) this.forget(page);
  }

  /** The service does not watch them. @param {Refusal} why */
  refused(why) {
    if (!why.isPassing) return;
    this.#rest(Math.max(PACE_MS, why.retryAfterMs || RETRY_MS));
    this.#isDue = true;
  }

  /** Asks for those whom any page watches, the newest first. */
  #watch() {
    if (!this.#isOpen) return;
    this.#isDue = this.#pause !== undefined;
    if (this.#isDue) return;
    const watched = [...this.#pages.values()].reverse().flatMap((place) => place.watched);
    const user_ids = [...new Set(watched)].slice(0, WATCHED);
    this.#environment.clearTimeout(this.#next);
    this.#stop.abort();
    if (user_ids.length === 0 && !this.#isWatching) return;
    this.#isWatching = user_ids.length > 0;
    this.#rest(PACE_MS);
    if (this.#listener.send({ type: WATCH, user_ids, request_id: WATCH }) || user_ids.length === 0) return;
    this.#next = this.#environment.setTimeout(() => this.#watch(), RETRY_MS);
    this.#stop = new AbortController();
    this.#look(user_ids, this.#stop.signal).catch(() => {}); // The next look may do better.
  }

  /** @param {number} ms */
  #rest(ms) {
    this.#environment.clearTimeout(this.#pause);
    this.#pause = this.#environment.setTimeout(() => {
      this.#pause = undefined;
      if (this.#isDue) this.#watch();
    }, ms);
  }

  /** Over HTTP, where nobody tells of changes. @param {number[]} users @param {AbortSignal} signal */
  async #look(users, signal) {
    for (let nth = 0; nth < users.length; nth += LOOK) {
      const query = { user_ids: users.slice(nth, nth + LOOK).join() };
      const { presence } = await this.#api.request('GET', '/presence', { query, signal });
      for (const status of presence) if (!signal.aborted) this.#listener.told({ type: 'presence', ...status });
    }
  }

  /** Says whether somebody is at any page. */
  #stand() {
    const isAway = ![...this.#pages.values()].some(({ isPresent }) => isPresent);
    if (!this.#isOpen || isAway === this.#isAway) return;
    if (this.#listener.send({ type: 'set_presence', status: isAway ? 'away' : 'online' })) this.#isAway = isAway;
  }
}
