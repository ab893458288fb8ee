// One user, from the answer to who they are to the end: joins mailbox, link, outbox and the other pages of the same browser.

import { Delivery } from './delivery.js';
import { Follower } from './follower.js';
import { Refusal } from './http.js';
import { Link } from './link.js';
import { Log, isEntry } from './log.js';
import { Outbox } from './outbox.js';
import { Presence, WATCH } from './presence.js';
import { Tabs } from './tabs.js';
import { poll, stream, webSocket } from './transports.js';

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 * @typedef {import('./presence.js').Place} Place
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Frame} Frame
 * @typedef {import('./switchboard.js').Limits} Limits
 * @typedef {import('./switchboard.js').Me} Me
 * @typedef {import('./switchboard.js').Message} Message
 * @typedef {import('./switchboard.js').State} State
 */

/**
 * @typedef {object} Listener
 * @property {(state: State) => void} state `signed out` and `stopped` are the last
 * @property {(entry: Frame) => void} entry the next one
 * @property {(frame: Frame) => void} frame what is no entry
 * @property {() => void} reset what was loaded must be loaded anew
 * @property {(limits: Partial<Limits>) => void} limits as the node has them
 * @property {(unread: number) => void} unread
 * @property {() => void} outbox what is in it has changed
 * @property {(progress: {id: string, sent: number, total: number}) => void} progress
 * @property {() => Promise<unknown>} renew gets another token, if there is one
 */

export class Session {
  /** @type {Outbox} */
  outbox;
  #api;
  #environment;
  #listener;
  #storage;
  #stop = new AbortController();
  #log;
  #follower;
  #tabs;
  #delivery;
  #presence;
  /** Of the page that leads. @type {Link | undefined} */
  #link;
  /** @type {State} */
  #state = { name: 'connecting' };
  #id;
  #unread;
  /** As a node told them, if one did. @type {Partial<Limits> | undefined} */
  #limits;
  #isStarted = false;
  /** Of the look that is under way. @type {Promise<boolean> | undefined} */
  #renewed;

  /** @param {string} name one a user and service @param {Me} me @param {Place} place @param {Storage} storage @param {Api} api @param {Environment} environment @param {Listener} listener */
  constructor(name, { id, cursor, epoch, unread_count }, place, storage, api, environment, listener) {
    this.#id = id;
    this.#api = api;
    this.#environment = environment;
    this.#listener = listener;
    this.#storage = storage;
    this.#unread = unread_count;
    this.#log = new Log(cursor, epoch, (entry) => this.#apply(entry), () => this.#reset());
    this.#follower = new Follower(this.#log, api, this.#stop.signal);
    this.#tabs = new Tabs(name, environment, {
      hear: (message) => this.#hear(message),
      leads: () => this.#lead(),
      robbed: () => this.#robbed(),
      place: () => this.#presence.place,
    });
    const send = (/** @type {object} */ frame) => this.send(frame);
    this.#delivery = new Delivery(api, storage, { send, progress: listener.progress });
    this.#presence = new Presence(place, api, environment, { send, told: (frame) => this.#read(frame) });
    this.outbox = new Outbox(storage, environment, {
      deliver: (item, signal) => this.#deliver(item, signal),
      changed: () => listener.outbox(),
      stored: (news) => this.#tabs.post({ kind: 'outbox', news }),
    });
  }

  /** Reads the outbox, if that can be read now. */
  async load() {
    // What no other page can see, no other page can send.
    const works = this.#storage.isShared ? this.outbox.sync() : this.outbox.start();
    await works.catch(() => {});
  }

  /** Entries come from now on. */
  start() {
    this.#isStarted = true;
    this.#tabs.start();
  }

  /** Another page took the lead, since this one did not answer. */
  #robbed() {
    this.#link?.stop();
    this.#link = undefined;
    this.#delivery.interrupt();
    this.#presence.end();
    if (this.#storage.isShared) this.outbox.stop();
  }

  /** Ends without a word. What is in the outbox is sent another time. */
  end() {
    this.#stop.abort(new Refusal('closed', 'the client was closed'));
    this.#link?.stop();
    this.#delivery.interrupt();
    this.#presence.end();
    this.left();
    this.outbox.close();
    this.#tabs.close();
    this.#storage.close();
  }

  /** Tells the other pages that nobody is logged in any more. */
  signOut() {
    this.#tabs.post({ kind: 'signed out' });
  }

  /** @param {object} frame @returns {boolean} whether it is on its way */
  send(frame) {
    return this.#link?.send(frame) ?? false;
  }

  /** What this page says of itself is another thing than before. @param {Place} place */
  says(place) {
    this.#presence.place = place;
    if (!this.#link && this.#isStarted) this.#tabs.hello();
  }

  /** This page goes, and may come back as it is. */
  left() {
    this.#tabs.post({ kind: 'left', page: this.#presence.place.page });
  }

  /** The network or the machine woke up, or somebody looks at this page. */
  woke() {
    if (this.#link) return this.#link.nudge();
    if (!this.#isStarted) return;
    this.#tabs.post({ kind: 'nudge' });
    this.#tabs.hello();
  }

  /** The network is gone, as far as is known. */
  went() {
    this.#link?.went();
  }

  #lead() {
    this.#tabs.post({ kind: 'who' });
    const { WebSocket } = this.#environment;
    const transports = WebSocket ? [webSocket, stream, poll] : [stream, poll];
    const made = transports.map((make) => make(this.#api, this.#environment));
    this.#link = new Link(made, this.#log, this.#environment, {
      state: (state) => this.#stand(state),
      frame: (frame) => this.#read(frame),
      opened: () => {
        this.#delivery.interrupt();
        this.#presence.opened();
        this.outbox.resume();
      },
      isOurs: ({ id }) => id === this.#id,
      probe: () => this.#verify(),
      renew: () => this.#renew(),
    });
    this.#link.start();
    if (!this.#stop.signal.aborted) this.outbox.start().catch(() => {});
  }

  /** Whether this is still the user whose mailbox it is: in one browser another one may have logged in. */
  async #verify() {
    const { id } = await this.#api.request('GET', '/me', { signal: this.#stop.signal });
    if (id !== this.#id) throw new Refusal('unauthorized', 'another user is logged in');
  }

  /** A request was refused for want of credentials: it ends where there are none any more, or another user's. */
  async doubt() {
    if ((await this.#renew()) || this.#stop.signal.aborted) return;
    this.signOut();
    this.#say({ name: 'signed out', reason: 'the credentials do not count any more' });
  }

  /** Whether there are credentials that count for this user, as far as that can be told now. */
  #renew() {
    this.#renewed ??= this.#look().finally(() => (this.#renewed = undefined));
    return this.#renewed;
  }

  async #look() {
    try {
      await this.#listener.renew();
      await this.#verify();
      return true;
    } catch (error) {
      return !(error instanceof Refusal && error.isUnauthorized);
    }
  }

  /** @param {State} state of this page, which leads */
  #stand(state) {
    if (state.name !== 'live') {
      this.#delivery.interrupt();
      this.#presence.closed();
    }
    if (state.name === 'signed out') this.signOut();
    this.#say(state);
    this.#tell();
  }

  /** Tells the other pages how things stand. */
  #tell() {
    const { cursor, epoch } = this.#log;
    this.#tabs.post({ kind: 'state', state: this.#state, cursor, epoch, unread: this.#unread, limits: this.#limits });
  }

  /** What another page says. @param {any} message */
  #hear(message) {
    if (message.kind === 'outbox') this.outbox.hear(message.news);
    else if (message.kind === 'signed out') this.#say({ name: 'signed out', reason: 'another page was signed out' });
    else if (this.#link) {
      if (message.kind === 'hello') {
        // A page of an older version says nothing of itself.
        if (message.place) this.#presence.hear(message.place);
        this.#tell();
      } else if (message.kind === 'left') this.#presence.forget(message.page);
      else if (message.kind === 'nudge') this.#link.nudge();
      return;
    }
    // Who leads tells everything again in answer to the first `hello`.
    if (!this.#isStarted) return;
    if (message.kind === 'who') this.#tabs.hello();
    else if (message.kind === 'entry') this.#follower.take(message.entry, message.epoch);
    else if (message.kind === 'frame') this.#read(message.frame);
    else if (message.kind === 'reset') {
      if (message.epoch !== this.#log.epoch || message.cursor < this.#log.cursor) this.#log.reset(message);
    } else if (message.kind === 'state') {
      this.#follower.reach(message.cursor, message.epoch);
      this.#count(message.unread);
      this.#allow(message.limits);
      this.#say(message.state);
    }
  }

  /** @param {Frame} entry the next one */
  #apply(entry) {
    if (this.#link) this.#tabs.post({ kind: 'entry', entry, epoch: this.#log.epoch });
    if (entry.type === 'message_sent') this.outbox.settle(entry.client_message_id, entry.data);
    this.#count(entry.unread_count);
    this.#listener.entry(entry);
  }

  #reset() {
    if (this.#link) {
      const { cursor, epoch } = this.#log;
      this.#tabs.post({ kind: 'reset', cursor, epoch });
      this.#tell();
      // What was answered before it may not come.
      this.#delivery.interrupt();
    }
    this.#listener.reset();
    this.outbox.resume();
  }

  /** @param {Frame} frame that is no entry */
  #read(frame) {
    const isForAll = frame.repeat !== true && frame.type !== 'error' && frame.type !== 'pong';
    if (this.#link && isForAll) this.#tabs.post({ kind: 'frame', frame });
    if (frame.type === 'message_sent') this.outbox.settle(frame.client_message_id, frame.data);
    if (frame.type === 'error') this.#refused(frame);
    if (frame.type === 'welcome') this.#allow(frame.limits);
    this.#count(frame.unread_count);
    if (isForAll && !isEntry(frame)) this.#listener.frame(frame);
  }

  /** @param {Frame} error */
  #refused({ code, error, client_message_id: id, request_id, retry_after_ms: retryAfterMs }) {
    const why = new Refusal(code, error, { retryAfterMs });
    if (request_id === WATCH) this.#presence.refused(why);
    else this.#delivery.refuse(id, why);
  }

  /** @param {Outgoing} item @param {AbortSignal} signal @returns {Promise<Message>} */
  async #deliver(item, signal) {
    // Only while it is known to be in the name of this user.
    const { name } = this.#state;
    if (name !== 'live' && name !== 'polling') throw new Refusal('interrupted', 'there is no connection');
    return this.#delivery.attempt(item, signal);
  }

  /** @param {number | undefined} unread */
  #count(unread) {
    if (unread === undefined || unread === this.#unread) return;
    this.#unread = unread;
    this.#listener.unread(unread);
  }

  /** @param {Partial<Limits> | undefined} limits */
  #allow(limits) {
    if (!limits) return;
    this.#limits = limits;
    this.#listener.limits(limits);
  }

  /** @param {State} state */
  #say(state) {
    this.#state = state;
    this.#listener.state(state);
  }
}
