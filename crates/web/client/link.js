// The way to the service: one connection after the other, over the best transport that works, all on one cursor.

import { Connection } from './connection.js';
import { backoff } from './environment.js';
import { isEntry } from './log.js';

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./http.js').Refusal} Refusal
 * @typedef {import('./log.js').Log} Log
 * @typedef {import('./switchboard.js').Frame} Frame
 * @typedef {import('./switchboard.js').State} State
 * @typedef {import('./transports.js').Transport} Transport
 * @typedef {import('./transports.js').Loss} Loss
 */

/**
 * @typedef {object} Listener
 * @property {(state: State) => void} state
 * @property {(frame: Frame) => void} frame what is no entry
 * @property {() => void} opened requests may be sent again
 * @property {(user: {id: number}) => boolean} isOurs whether this is the user whose mailbox it is
 * @property {() => Promise<void>} probe asks over HTTP who this is; throws a `Refusal` if that is not answered
 * @property {() => Promise<boolean>} renew gets new credentials, if there are others
 */

/** Close codes after which the same client would fail again. */
const STOP = [1000, 1002, 1007, 1009];
const CREDENTIALS_EXPIRED = 4401;
const REVOKED = 4403;
const RESTART = 1012;

/** A connection that stood for so long was a good one, in milliseconds. */
const GOOD_MS = 10_000;
/** Between two looks whether a better transport works: half of it to one and a half. */
const CLIMB_MS = 30_000;
/** So often the best transport is refused, while the service is there, before the next one is tried. */
const REFUSALS = 2;

export class Link {
  #transports;
  #log;
  #environment;
  #listener;
  /** @type {Connection | undefined} */
  #connection;
  /** Over a better transport, on trial. @type {Connection | undefined} */
  #candidate;
  /** The place of the present transport in the list. */
  #rung = 0;
  /** Attempts in a row that came to nothing, and those of them that the service itself did not cause. */
  #failures = 0;
  #refusals = 0;
  /** What happens next by itself: an attempt, or the end of a connection whose node goes away. @type {any} */
  #next;
  /** @type {any} */
  #good;
  /** @type {any} */
  #climb;
  #climbs = 0;
  #isRunning = false;
  /** Until which position a gap was noticed: one that stays is waited out. */
  #gapAt = -1;

  /** @param {Transport[]} transports the best first @param {Log} log @param {Environment} environment @param {Listener} listener */
  constructor(transports, log, environment, listener) {
    this.#transports = transports;
    this.#log = log;
    this.#environment = environment;
    this.#listener = listener;
  }

  start() {
    this.#isRunning = true;
    this.#listener.state({ name: this.#environment.isOnline() ? 'connecting' : 'offline' });
    this.#attempt();
  }

  stop() {
    this.#isRunning = false;
    this.#drop();
  }

  /** @param {object} frame @returns {boolean} whether it is on its way */
  send(frame) {
    if (!this.#connection?.canSend) return false;
    this.#connection.send(frame);
    return true;
  }

  /** The network or the machine woke up: look at once how things stand. */
  nudge() {
    if (!this.#isRunning) return;
    if (!this.#connection?.isOpen || !this.#connection.check()) this.#attempt();
    else if (this.#rung > 0) this.#tryBetter();
  }

  /** The network is gone, as far as is known. */
  went() {
    if (!this.#isRunning) return;
    if (this.#connection?.isOpen) this.#connection.check();
    else this.#listener.state({ name: 'offline' });
  }

  #drop() {
    for (const timer of [this.#next, this.#good, this.#climb]) this.#environment.clearTimeout(timer);
    this.#connection?.close();
    this.#candidate?.close();
    this.#connection = this.#candidate = this.#next = undefined;
  }

  #attempt() {
    this.#drop();
    if (this.#isRunning) this.#connection = this.#connect(this.#rung);
  }

  /** @param {number} rung */
  #connect(rung) {
    return new Connection(this.#transports[rung], this.#log, this.#environment, {
      opened: (connection, user) => this.#opened(connection, user),
      frame: (connection, frame) => this.#read(connection, frame),
      closed: (connection, loss) => this.#closed(connection, loss),
    });
  }

  /** @param {Connection} connection @param {{id: number}} user */
  #opened(connection, user) {
    // Another one logged in in the same browser. Nothing of the first may be sent in their name.
    if (!this.#listener.isOurs(user)) return this.#end('signed out', 'another user is logged in');
    if (connection === this.#candidate) {
      this.#candidate = undefined;
      this.#drop();
      this.#connection = connection;
      this.#rung = this.#transports.indexOf(connection.transport);
    }
    this.#refusals = 0;
    this.#good = this.#environment.setTimeout(() => (this.#failures = 0), GOOD_MS);
    if (this.#rung > 0) this.#climbLater();
    const { name: transport } = connection.transport;
    this.#listener.state({ name: transport === 'poll' ? 'polling' : 'live', transport });
    this.#listener.opened();
  }

  #climbLater() {
    this.#environment.clearTimeout(this.#climb);
    const ms = CLIMB_MS * (0.5 + this.#environment.random());
    this.#climb = this.#environment.setTimeout(() => this.#tryBetter(), ms);
  }

  /** Beside the present connection, which goes on: what both bring is applied once. */
  #tryBetter() {
    if (!this.#isRunning || this.#rung === 0) return;
    this.#candidate?.close();
    this.#candidate = this.#connect(this.#climbs++ % this.#rung);
    this.#climbLater();
  }

  /** @param {Connection} connection @param {Frame} frame */
  #read(connection, frame) {
    if (connection !== this.#connection) return;
    if (isEntry(frame)) this.#take(frame);
    else if (frame.type === 'reset') this.#log.reset(/** @type {any} */ (frame));
    else if (frame.type === 'reconnect') this.#leaveAfter(frame.after_ms);
    else this.#listener.frame(frame);
  }

  /** @param {Frame & {seq: number}} entry */
  #take(entry) {
    if (this.#log.take(entry)) return;
    // Asked from the cursor on, the service gives what is missing. At once, unless that helped nothing.
    const isNew = this.#gapAt !== this.#log.cursor;
    this.#gapAt = this.#log.cursor;
    this.#attemptIn(isNew ? 0 : this.#wait(), 'entries are missing');
  }

  /** The node serves us until then, and knows why it is then. @param {number} ms */
  #leaveAfter(ms) {
    this.#environment.clearTimeout(this.#next);
    this.#next = this.#environment.setTimeout(() => this.#attempt(), ms);
  }

  /** @param {Connection} connection @param {Loss} loss */
  #closed(connection, loss) {
    if (connection === this.#candidate) this.#candidate = undefined;
    if (connection !== this.#connection) return;
    this.#drop();
    const { code = 0, refusal } = loss;
    if (STOP.includes(code)) return this.#end('stopped', `the connection was closed with ${code}`);
    if (code === REVOKED) return this.#end('signed out', 'the session was ended');
    const { isOpen } = connection;
    if (code === CREDENTIALS_EXPIRED || refusal?.isUnauthorized) this.#renew();
    else if (!isOpen && !(refusal?.isPassing && refusal.status > 0)) this.#examine();
    else {
      // What the service says of itself says nothing of the transport.
      if (!isOpen) this.#rung = 0;
      // Whom the node told to leave has had a time of its own for that; who is told again and again waits.
      const wasTold = code === RESTART && this.#failures === 0;
      const ms = this.#wait(refusal?.retryAfterMs);
      this.#attemptIn(wasTold ? 0 : ms, refusal?.message ?? 'the connection was lost');
    }
  }

  /** A browser does not say why a handshake failed. Whether it is the service, the credentials or the way, HTTP tells. */
  async #examine() {
    this.#attemptIn(this.#wait(), 'the connection was refused');
    const next = this.#next;
    // A listener may have ended it.
    if (next === undefined) return;
    try {
      await this.#listener.probe();
    } catch (error) {
      const refusal = /** @type {Refusal} */ (error);
      if (next !== this.#next || !this.#isRunning) return;
      this.#rung = 0;
      if (refusal.isUnauthorized) {
        this.#environment.clearTimeout(next);
        await this.#renew();
      }
      return;
    }
    if (next !== this.#next || !this.#isRunning) return;
    this.#refusals += 1;
    if (this.#rung === 0 && this.#refusals < REFUSALS) return;
    // The service answers, so the way is the matter: down a rung, at once.
    this.#rung = (this.#rung + 1) % this.#transports.length;
    if (this.#rung > 0) this.#attemptIn(0, 'the transport does not work here');
  }

  async #renew() {
    const ms = this.#wait();
    const isRenewed = await this.#listener.renew();
    if (!this.#isRunning || this.#connection) return;
    if (isRenewed) this.#attemptIn(ms, 'the credentials were renewed');
    else this.#end('signed out', 'the credentials do not count any more');
  }

  /** @param {number} [atLeastMs] */
  #wait(atLeastMs = 0) {
    const ms = Math.max(atLeastMs, backoff(this.#environment, this.#failures));
    this.#failures += 1;
    return ms;
  }

  /** @param {number} ms @param {string} reason */
  #attemptIn(ms, reason) {
    this.#drop();
    const retryAt = this.#environment.now() + ms;
    const isOnline = this.#environment.isOnline();
    // Before it is told: who hears it may end it.
    this.#next = this.#environment.setTimeout(() => this.#attempt(), ms);
    this.#listener.state({ name: isOnline ? 'reconnecting' : 'offline', attempt: this.#failures, retryAt, reason });
  }

  /** @param {'signed out' | 'stopped'} name @param {string} reason */
  #end(name, reason) {
    this.stop();
    this.#listener.state({ name, reason });
  }
}
