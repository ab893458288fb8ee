// One user, from the answer to who they are to the end: joins mailbox, link, outbox and the other pages of the same browser.

import { Follower } from './follower.js';
import { Refusal } from './http.js';
import { Link } from './link.js';
import { Log, isEntry } from './log.js';
import { Outbox } from './outbox.js';
import { Tabs } from './tabs.js';
import { poll, stream, webSocket } from './transports.js';

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Frame} Frame
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
 * @property {(unread: number) => void} unread
 * @property {() => void} outbox what is in it has changed
 * @property {(progress: {id: string, sent: number, total: number}) => void} progress
 * @property {() => Promise<unknown>} renew gets another token, if there is one
 */

/** A page that leads and says nothing for so long when asked does not lead, in milliseconds. */
const LEADER_MS = 10_000;

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
  /** Of the page that leads. @type {Link | undefined} */
  #link;
  /** @type {State} */
  #state = { name: 'connecting' };
  #id;
  #unread;
  /** Whether the page that leads was heard since it was last asked. */
  #isLed = true;
  /** @type {any} */
  #watch;
  /** Sent over the connection that stands, and not answered. @type {Map<string, (why: Refusal) => void>} */
  #unanswered = new Map();

  /** @param {string} name one a user and service @param {Me} me @param {Storage} storage @param {Api} api @param {Environment} environment @param {Listener} listener */
  constructor(name, { id, cursor, epoch, unread_count }, storage, api, environment, listener) {
    this.#id = id;
    this.#api = api;
    this.#environment = environment;
    this.#listener = listener;
    this.#storage = storage;
    this.#unread = unread_count;
    this.#log = new Log(cursor, epoch, (entry) => this.#apply(entry), () => this.#reset());
    this.#follower = new Follower(this.#log, api, this.#stop.signal);
    this.#tabs = new Tabs(name, environment, (message) => this.#hear(message), () => this.#robbed());
    this.outbox = new Outbox(storage, environment, {
      deliver: (item, signal) => this.#deliver(item, signal),
      changed: () => listener.outbox(),
      stored: (news) => this.#tabs.post({ kind: 'outbox', news }),
    });
  }

  start() {
    // What no other page can see, no other page can send.
    const works = this.#storage.isShared ? this.outbox.sync() : this.outbox.start();
    works.catch(() => {});
    this.#await(false);
  }

  /** Leads as soon as it may; until then it looks after the page that does. @param {boolean} steals */
  #await(steals) {
    this.#tabs.lead(steals).then(
      () => this.#stop.signal.aborted || this.#lead(),
      () => {},
    );
    if (this.#tabs.areMany) this.#lookAfter();
  }

  /** A page that leads and does not answer, frozen or behind a dialog, leads no more. */
  #lookAfter() {
    this.#environment.clearTimeout(this.#watch);
    this.#isLed = false;
    this.#tabs.post({ kind: 'hello' });
    this.#watch = this.#environment.setTimeout(() => {
      if (this.#isLed) this.#lookAfter();
      else this.#await(true);
    }, LEADER_MS);
  }

  /** Another page took the lead, since this one did not answer. */
  #robbed() {
    this.#link?.stop();
    this.#link = undefined;
    this.#interrupt();
    if (this.#storage.isShared) this.outbox.stop();
    this.#await(false);
  }

  /** Ends without a word. What is in the outbox is sent another time. */
  end() {
    this.#stop.abort(new Refusal('closed', 'the client was closed'));
    this.#link?.stop();
    this.#environment.clearTimeout(this.#watch);
    this.#interrupt();
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

  /** The network or the machine woke up, or somebody looks at this page. */
  woke() {
    if (this.#link) this.#link.nudge();
    else for (const kind of ['nudge', 'hello']) this.#tabs.post({ kind });
  }

  /** The network is gone, as far as is known. */
  went() {
    this.#link?.went();
  }

  #lead() {
    this.#environment.clearTimeout(this.#watch);
    const { WebSocket } = this.#environment;
    const transports = WebSocket ? [webSocket, stream, poll] : [stream, poll];
    const made = transports.map((make) => make(this.#api, this.#environment));
    this.#link = new Link(made, this.#log, this.#environment, {
      state: (state) => this.#stand(state),
      frame: (frame) => this.#read(frame),
      opened: () => {
        this.#interrupt();
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

  /** Whether there are credentials that count for this user, as far as that can be told now. */
  async #renew() {
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
    if (state.name !== 'live') this.#interrupt();
    if (state.name === 'signed out') this.signOut();
    this.#say(state);
    this.#tell();
  }

  /** Tells the other pages how things stand. */
  #tell() {
    const { cursor, epoch } = this.#log;
    this.#tabs.post({ kind: 'state', state: this.#state, cursor, epoch, unread: this.#unread });
  }

  /** What another page says. @param {any} message */
  #hear(message) {
    if (message.kind === 'outbox') this.outbox.hear(message.news);
    else if (message.kind === 'signed out') this.#say({ name: 'signed out', reason: 'another page was signed out' });
    else if (this.#link) {
      if (message.kind === 'hello') this.#tell();
      else if (message.kind === 'nudge') this.#link.nudge();
      return;
    }
    this.#isLed ||= message.kind === 'state';
    if (message.kind === 'entry') this.#follower.take(message.entry, message.epoch);
    else if (message.kind === 'frame') this.#read(message.frame);
    else if (message.kind === 'reset') {
      if (message.epoch !== this.#log.epoch || message.cursor < this.#log.cursor) this.#log.reset(message);
    } else if (message.kind === 'state') {
      this.#follower.reach(message.cursor, message.epoch);
      this.#count(message.unread);
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
      this.#interrupt();
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
    this.#count(frame.unread_count);
    if (isForAll && !isEntry(frame)) this.#listener.frame(frame);
  }

  /** @param {Frame} error */
  #refused({ code, error, client_message_id: id, retry_after_ms: retryAfterMs }) {
    this.#unanswered.get(id)?.(new Refusal(code, error, { retryAfterMs }));
  }

  /** What was sent over a connection that is no more has to be sent again: whether it arrived is unknown. */
  #interrupt() {
    for (const reject of this.#unanswered.values()) reject(new Refusal('interrupted', 'the connection was lost'));
  }

  /** @param {Outgoing} item @param {AbortSignal} signal @returns {Promise<Message>} */
  async #deliver(item, signal) {
    // Only while it is known to be in the name of this user.
    const { name } = this.#state;
    if (name !== 'live' && name !== 'polling') throw new Refusal('interrupted', 'there is no connection');
    await this.#upload(item, signal);
    signal.throwIfAborted();
    const { id, files: _, place: __, written_at: ___, failure: ____, ...message } = /** @type {Outgoing & {place?: number}} */ (item);
    const body = { ...message, client_message_id: id };
    if (!this.send({ type: 'send_message', ...body })) {
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

  /** Each file once: the service compares a repeated message with the first. @param {Outgoing} item @param {AbortSignal} signal */
  async #upload(item, signal) {
    const total = item.files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    for (const [nth, file] of item.files.entries()) {
      const ids = item.attachment_ids ?? [];
      const progress = (/** @type {number} */ sent) =>
        this.#listener.progress({ id: item.id, sent: before + Math.min(sent, file.size), total });
      if (nth >= ids.length) {
        item.attachment_ids = [...ids, (await this.#api.upload(file, { progress, signal })).id];
        await this.#storage.put(item);
      }
      before += file.size;
    }
  }

  /** @param {number | undefined} unread */
  #count(unread) {
    if (unread === undefined || unread === this.#unread) return;
    this.#unread = unread;
    this.#listener.unread(unread);
  }

  /** @param {State} state */
  #say(state) {
    this.#state = state;
    this.#listener.state(state);
  }
}
