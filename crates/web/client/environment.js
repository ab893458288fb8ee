import { inDatabase, inMemory } from './storage.js';

/**
 * What the client needs of the world around it. A test gives another.
 *
 * @typedef {object} Environment
 * @property {typeof globalThis.fetch} fetch
 * @property {typeof globalThis.WebSocket} [WebSocket] without it, there are event streams and polls
 * @property {(action: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now milliseconds since 1970, to be shown: nothing is decided by it, since clocks jump
 * @property {() => number} random from 0 to below 1
 * @property {() => boolean} isOnline whether there is a network, as far as is known
 * @property {LockManager} [locks]
 * @property {typeof globalThis.BroadcastChannel} [BroadcastChannel]
 * @property {(name: string) => Promise<import('./storage.js').Storage>} openStorage for what is on its way
 * @property {(woke: () => void, went: () => void, left: () => void) => (() => void)} watch calls `woke` when the network is back
 *   or somebody looks at the page, `went` when the network is gone, `left` when the page goes; gives a function that ends it
 */

/** Waits between attempts double from the first to the second, in milliseconds. */
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;

/**
 * A wait after so many failures in a row: random between nothing and its cap ("full jitter"), so that the clients of a
 * node that died do not come back all at once.
 *
 * @param {Environment} environment
 * @param {number} failures
 */
export const backoff = (environment, failures) =>
  environment.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10));

/**
 * A wait that can be cut short.
 *
 * @param {Environment} environment
 * @param {number} ms
 * @param {AbortSignal} signal ends it, with its reason
 * @returns {{over: Promise<void>, wake: () => void}}
 */
export function nap(environment, ms, signal) {
  let wake = () => {};
  const over = new Promise((/** @type {(value?: any) => void} */ resolve, reject) => {
    signal.throwIfAborted();
    const end = (/** @type {() => void} */ settle) => {
      environment.clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      settle();
    };
    const stop = () => end(() => reject(signal.reason));
    wake = () => end(resolve);
    const timer = environment.setTimeout(wake, ms);
    signal.addEventListener('abort', stop);
  });
  return { over, wake };
}

/** Of the browser, or of Node, where there is no page to look at. @returns {Environment} */
export function surroundings() {
  const { fetch, WebSocket, BroadcastChannel, indexedDB, navigator, document } = globalThis;
  const isPage = document !== undefined;
  return {
    fetch: fetch.bind(globalThis),
    WebSocket,
    setTimeout: (action, ms) => setTimeout(action, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    isOnline: () => navigator?.onLine ?? true,
    // Elsewhere a process is alone with its user.
    locks: isPage ? navigator.locks : undefined,
    BroadcastChannel: isPage ? BroadcastChannel : undefined,
    // Browsers may refuse it, as in some private windows.
    openStorage: async (name) => (indexedDB ? inDatabase(indexedDB, name).catch(inMemory) : inMemory()),
    watch: isPage ? watchPage : () => () => {},
  };
}

/** @param {() => void} woke @param {() => void} went @param {() => void} left */
function watchPage(woke, went, left) {
  const looked = () => document.visibilityState === 'visible' && woke();
  document.addEventListener('visibilitychange', looked);
  addEventListener('pageshow', woke);
  addEventListener('pagehide', left);
  addEventListener('online', woke);
  addEventListener('offline', went);
  return () => {
    document.removeEventListener('visibilitychange', looked);
    removeEventListener('pageshow', woke);
    removeEventListener('pagehide', left);
    removeEventListener('online', woke);
    removeEventListener('offline', went);
  };
}
