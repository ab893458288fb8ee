/**
 * A wait that can be cut short.
 *
 * @param {Environment} environment
 * @param {number} ms
 * @param {AbortSignal} signal ends it, with its reason
 * @returns {{over: Promise<void>, wake: () => void}}
 */
export function nap(environment: Environment, ms: number, signal: AbortSignal): {
    over: Promise<void>;
    wake: () => void;
};
/** Of the browser, or of Node, where there is no page to look at. @returns {Environment} */
export function surroundings(): Environment;
export function backoff(environment: Environment, failures: number): number;
/**
 * What the client needs of the world around it. A test gives another.
 */
export type Environment = {
    fetch: typeof globalThis.fetch;
    /**
     * without it, there are event streams and polls
     */
    WebSocket?: {
        new (url: string | URL, protocols?: string | string[]): WebSocket;
        prototype: WebSocket;
        readonly CONNECTING: 0;
        readonly OPEN: 1;
        readonly CLOSING: 2;
        readonly CLOSED: 3;
    } | undefined;
    setTimeout: (action: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
    /**
     * milliseconds since 1970, to be shown: nothing is decided by it, since clocks jump
     */
    now: () => number;
    /**
     * from 0 to below 1
     */
    random: () => number;
    /**
     * whether there is a network, as far as is known
     */
    isOnline: () => boolean;
    locks?: LockManager | undefined;
    BroadcastChannel?: {
        new (name: string): BroadcastChannel;
        prototype: BroadcastChannel;
    } | undefined;
    /**
     * for what is on its way
     */
    openStorage: (name: string) => Promise<import("./storage.js").Storage>;
    /**
     * calls `woke` when the network is back
     * or somebody looks at the page, `went` when the network is gone, `left` when the page goes; gives a function that ends it
     */
    watch: (woke: () => void, went: () => void, left: () => void) => (() => void);
};
