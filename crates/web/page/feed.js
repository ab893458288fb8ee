// The mailbox's entries as they come: one WebSocket after the other, resumed from the cursor, so that each entry
// is handed over once and in order, whatever happens to the connection.

import { backoff } from './api.js';

/**
 * @typedef {{type: string, seq?: number, repeat?: boolean} & Record<string, any>} Frame
 * @typedef {object} Listener
 * @property {(frame: Frame) => void} entry the next entry of the mailbox
 * @property {(frame: Frame) => void} welcome a connection stands
 * @property {(unread: number) => void} unread the count of messages received and not read
 * @property {() => void} reset what is known must be loaded anew
 * @property {() => void} doubt whether the session still counts has to be asked over HTTP
 * @property {() => void} ended the session was ended
 * @property {(state: 'connecting' | 'connected' | 'waiting' | 'stopped') => void} state
 */

/** From the first byte to `welcome`, in milliseconds. */
const WELCOME_MS = 10_000;
/** A connection that does not answer a ping for so long is dead. */
const PONG_MS = 5_000;

/** Close codes after which the same client would fail again; all others but those of `#closed` are passing. */
const STOP = [1000, 1002, 1007, 1009];
const CREDENTIALS_EXPIRED = 4401;
const REVOKED = 4403;

export class Feed {
  #cursor;
  #epoch;
  #listener;
  /** @type {WebSocket | undefined} */
  #socket;
  /** The one thing that happens next if nothing else does: @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #failures = 0;
  #heartbeatMs = 25_000;
  /** When this connection was welcomed. @type {number | undefined} */
  #welcomedAt;
  /** Whether the node goes away: it serves this connection until the time that it told us, and closes it then. */
  #isLeaving = false;
  #isStopped = false;

  /** @param {number} cursor the last entry known @param {string} epoch @param {Listener} listener */
  constructor(cursor, epoch, listener) {
    this.#cursor = cursor;
    this.#epoch = epoch;
    this.#listener = listener;
  }

  connect() {
    this.#drop();
    this.#isStopped = false;
    this.#isLeaving = false;
    this.#listener.state('connecting');
    const url = new URL('/ws/messages/', location.origin.replace(/^http/, 'ws'));
    url.search = String(new URLSearchParams({ cursor: String(this.#cursor), epoch: this.#epoch }));
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#read(data);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#next(WELCOME_MS, () => this.#closed());
  }

  /** For good, unless `connect` is called. */
  stop() {
    this.#isStopped = true;
    this.#drop();
  }

  /** The network or the machine woke up, or went: look at once how things stand. */
  nudge() {
    if (this.#isStopped || this.#isLeaving) return;
    if (!this.#socket) this.connect();
    else if (this.#welcomedAt !== undefined) this.#ping();
  }

  /** @param {number} ms @param {() => void} action */
  #next(ms, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, ms);
  }

  /** Lets go of the connection without waiting for its goodbye, which a dead one never says. */
  #drop() {
    clearTimeout(this.#timer);
    this.#welcomedAt = undefined;
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = undefined;
  }

  /** A page does not see the pings of the WebSocket, so it has to ask. */
  #ping() {
    this.#socket?.send('{"type":"ping"}');
    this.#next(PONG_MS, () => this.#closed());
  }

  /** @param {string} text */
  #read(text) {
    /** @type {Frame} */
    const frame = JSON.parse(text);
    if (!this.#isLeaving) this.#next(this.#heartbeatMs, () => this.#ping());
    if (frame.seq !== undefined && !frame.repeat) this.#apply(frame.seq, frame);
    else if (frame.type === 'welcome') this.#welcome(frame);
    else if (frame.type === 'unread_count') this.#listener.unread(frame.unread_count);
    else if (frame.type === 'reset') {
      [this.#cursor, this.#epoch] = [frame.cursor, frame.epoch];
      this.#listener.reset();
    } else if (frame.type === 'reconnect') {
      this.#isLeaving = true;
      this.#next(frame.after_ms, () => this.#closed());
    }
  }

  /** With a cursor of our own we stay with it: the node says so with a `reset` if it is of no use. @param {Frame} frame */
  #welcome(frame) {
    this.#welcomedAt = performance.now();
    this.#heartbeatMs = frame.heartbeat_interval_ms;
    this.#listener.state('connected');
    this.#listener.unread(frame.unread_count);
    this.#listener.welcome(frame);
  }

  /** An entry that is there already is dropped; one that comes too early means that some are missing. @param {number} seq @param {Frame} frame */
  #apply(seq, frame) {
    if (seq <= this.#cursor) return;
    if (seq > this.#cursor + 1) return this.#closed();
    this.#cursor = seq;
    this.#listener.entry(frame);
  }

  /** @param {number} [code] of the close frame; without it, we found the connection of no more use */
  #closed(code) {
    const uptime = this.#welcomedAt === undefined ? 0 : performance.now() - this.#welcomedAt;
    const wasWelcome = this.#welcomedAt !== undefined;
    this.#drop();
    if (code === REVOKED) return this.#listener.ended();
    if (code !== undefined && STOP.includes(code)) {
      this.#isStopped = true;
      return this.#listener.state('stopped');
    }
    // A page is not told why a handshake was refused.
    if (code === CREDENTIALS_EXPIRED || !wasWelcome) this.#listener.doubt();
    if (uptime > 10_000) this.#failures = 0;
    // Who was told to leave has had its own time for that; who is told again and again waits.
    const delay = this.#isLeaving && this.#failures === 0 ? 0 : backoff(this.#failures);
    this.#failures += 1;
    this.#listener.state('waiting');
    this.#next(delay, () => this.connect());
  }
}
