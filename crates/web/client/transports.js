// The three ways to follow a mailbox: WebSocket, server-sent events, polling. Each is asked for what comes after a cursor, and
// says what it gets. Whether one is still alive is for the connection to judge (`connection.js`).

import { Refusal, refusalOf } from './http.js';

/**
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./log.js').Log} Log
 * @typedef {import('./switchboard.js').Frame} Frame
 */

/**
 * How a connection ended.
 *
 * @typedef {object} Loss
 * @property {number} [code] of the close frame
 * @property {Refusal} [refusal] of the request that should have opened it
 */

/**
 * What a transport tells. After `closed` it says no more.
 *
 * @typedef {object} Line
 * @property {(user: {id: number}) => void} opened as whom, where no `welcome` says it
 * @property {(frame: Frame) => void} frame
 * @property {() => void} heard something came, if no frame
 * @property {(loss: Loss) => void} closed
 */

/**
 * @typedef {object} Wire
 * @property {() => void} close ends it without a word
 * @property {(frame: object) => void} [send]
 * @property {() => void} [hurry] asks at once instead of later
 */

/**
 * @typedef {object} Transport
 * @property {'websocket' | 'stream' | 'poll'} name
 * @property {boolean} isSilent whether silence says nothing
 * @property {(log: Log, line: Line) => Wire} open
 */

/** Between two polls, in milliseconds. */
const POLL_MS = 5_000;

/** @param {Api} api @param {Environment} environment @returns {Transport} */
export const webSocket = (api, environment) => ({
  name: 'websocket',
  isSilent: false,
  open(log, line) {
    /** @type {WebSocket | undefined} */
    let socket;
    let isClosed = false;
    const connect = async () => {
      // A page cannot send headers with a handshake; a ticket stands for them.
      const { Authorization } = await api.credentials();
      const ticket = Authorization && (await api.request('POST', '/auth/ticket')).ticket;
      if (isClosed) return;
      const url = api.address('/ws/messages/', { cursor: log.cursor, epoch: log.epoch, ticket });
      url.protocol = url.protocol.replace('http', 'ws');
      const WebSocket = /** @type {typeof globalThis.WebSocket} */ (environment.WebSocket);
      socket = new WebSocket(url);
      socket.onmessage = ({ data }) => line.frame(JSON.parse(data));
      // What is wrong with it, `close` says.
      socket.onerror = () => {};
      socket.onclose = ({ code }) => line.closed({ code });
    };
    connect().catch((error) => isClosed || line.closed({ refusal: asRefusal(error) }));
    return {
      close() {
        isClosed = true;
        if (!socket) return;
        socket.onmessage = socket.onclose = null;
        socket.close();
      },
      send: (frame) => socket?.send(JSON.stringify(frame)),
    };
  },
});

/** Read through `fetch`, which can send headers, and is there outside of browsers. @param {Api} api @param {Environment} environment @returns {Transport} */
export const stream = (api, environment) => ({
  name: 'stream',
  isSilent: false,
  open(log, line) {
    const stop = new AbortController();
    const follow = async () => {
      const headers = await api.credentials();
      const url = api.address('/api/v1/events/stream', { cursor: log.cursor, epoch: log.epoch });
      const init = { headers, signal: stop.signal, cache: /** @type {const} */ ('no-store') };
      const response = await environment.fetch(url, init);
      if (!response.ok || !response.body) throw refusalOf(response.status, await response.json().catch(() => undefined));
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      let rest = '';
      for (let chunk; !(chunk = await reader.read()).done; ) {
        const events = (rest + decoder.decode(chunk.value, { stream: true })).split('\n\n');
        rest = events.pop() ?? '';
        line.heard();
        for (const event of events) for (const frame of framesOf(event)) line.frame(frame);
        if (stop.signal.aborted) return;
      }
      throw new Refusal('interrupted', 'the stream ended');
    };
    follow().catch((error) => stop.signal.aborted || line.closed({ refusal: asRefusal(error) }));
    return { close: () => stop.abort() };
  },
});

/** @param {string} event @returns {Frame[]} none of a comment */
function framesOf(event) {
  const data = event.split('\n').filter((field) => /^data:/.test(field));
  return data.map((field) => JSON.parse(field.replace(/^data:/, '')));
}

/** @param {Api} api @param {Environment} environment @returns {Transport} */
export const poll = (api, environment) => ({
  name: 'poll',
  isSilent: true,
  open(log, line) {
    const stop = new AbortController();
    let [isAsking, isOpen] = [false, false];
    /** @type {any} */
    let timer;
    const ask = async () => {
      environment.clearTimeout(timer);
      if (isAsking) return;
      isAsking = true;
      if (!isOpen) line.opened(await api.request('GET', '/me', { signal: stop.signal }));
      isOpen = true;
      for (let isMore = true; isMore && !stop.signal.aborted; ) {
        const query = { cursor: log.cursor, epoch: log.epoch };
        const { events } = await api.request('GET', '/events', { query, signal: stop.signal });
        line.heard();
        for (const event of events) line.frame(event);
        isMore = events.length > 0;
      }
      isAsking = false;
      if (!stop.signal.aborted) timer = environment.setTimeout(start, POLL_MS);
    };
    const start = () => {
      ask().catch((error) => stop.signal.aborted || line.closed({ refusal: asRefusal(error) }));
    };
    start();
    return {
      hurry: start,
      close() {
        environment.clearTimeout(timer);
        stop.abort();
      },
    };
  },
});

/** @param {unknown} error */
const asRefusal = (error) =>
  error instanceof Refusal ? error : new Refusal('unreachable', error instanceof Error ? error.message : String(error));
