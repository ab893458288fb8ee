// One connection, from its attempt to its end: judges whether it still lives.

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./log.js').Log} Log
 * @typedef {import('./switchboard.js').Frame} Frame
 * @typedef {import('./transports.js').Transport} Transport
 * @typedef {import('./transports.js').Loss} Loss
 */

/** From the attempt to the first word, in milliseconds. */
const OPEN_MS = 10_000;
/** For the answer to a ping that wants to know whether the connection outlived a sleep of the machine. */
const PONG_MS = 5_000;

/**
 * @typedef {object} Listener
 * @property {(connection: Connection, user: {id: number}) => void} opened as whom
 * @property {(connection: Connection, frame: Frame) => void} frame
 * @property {(connection: Connection, loss: Loss) => void} closed the last word; not said of one that was closed from here
 */

export class Connection {
  isOpen = false;
  #environment;
  #listener;
  /** @type {import('./transports.js').Wire} */
  #wire;
  /** For what happens if nothing is heard. @type {any} */
  #timer;
  #heartbeatMs = 25_000;
  #isClosed = false;

  /** @param {Transport} transport @param {Log} log what comes after its cursor is asked for @param {Environment} environment @param {Listener} listener */
  constructor(transport, log, environment, listener) {
    this.transport = transport;
    this.#environment = environment;
    this.#listener = listener;
    this.#after(OPEN_MS, () => this.#end({}));
    // What a transport says before it is closed may come after it was.
    const said = (/** @type {() => void} */ action) => this.#isClosed || action();
    this.#wire = transport.open(log, {
      opened: (user) => said(() => this.#opened(user)),
      frame: (frame) => said(() => this.#read(frame)),
      heard: () => said(() => this.isOpen && this.#heard()),
      closed: (loss) => said(() => this.#end(loss)),
    });
  }

  get canSend() {
    return this.isOpen && this.#wire.send !== undefined;
  }

  /** @param {object} frame */
  send(frame) {
    this.#wire.send?.(frame);
  }

  /** Finds out soon whether it still lives. @returns {boolean} false if it cannot be asked, as a stream cannot */
  check() {
    if (this.#wire.hurry) this.#wire.hurry();
    else if (this.#wire.send) this.#ping(PONG_MS);
    else return false;
    return true;
  }

  close() {
    this.#isClosed = true;
    this.#environment.clearTimeout(this.#timer);
    this.#wire.close();
  }

  /** @param {Frame} frame */
  #read(frame) {
    if (frame.type === 'welcome') {
      this.#heartbeatMs = frame.heartbeat_interval_ms;
      this.#opened(frame.user);
    } else this.#heard();
    if (!this.#isClosed) this.#listener.frame(this, frame);
  }

  /** @param {{id: number}} user */
  #opened(user) {
    this.isOpen = true;
    this.#heard();
    this.#listener.opened(this, user);
  }

  /** The pings of a WebSocket are hidden from a page: it asks by itself after a heartbeat, and gives up after the next. */
  #heard() {
    if (!this.isOpen) return;
    if (this.transport.isSilent) return this.#environment.clearTimeout(this.#timer);
    const ms = this.#heartbeatMs;
    if (this.#wire?.send) this.#after(ms, () => this.#ping(ms));
    else this.#after(2 * ms, () => this.#end({}));
  }

  /** @param {number} ms */
  #ping(ms) {
    this.send({ type: 'ping' });
    this.#after(ms, () => this.#end({}));
  }

  /** @param {number} ms @param {() => void} action */
  #after(ms, action) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(action, ms);
  }

  /** @param {Loss} loss */
  #end(loss) {
    this.close();
    this.#listener.closed(this, loss);
  }
}
