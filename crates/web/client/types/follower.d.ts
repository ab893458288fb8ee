/**
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./log.js').Log} Log
 * @typedef {import('./switchboard.js').Frame} Frame
 */
/** Takes entries from the page that leads, and asks the service for what did not come. */
export class Follower {
    /** @param {Log} log @param {Api} api @param {AbortSignal} signal ends it */
    constructor(log: Log, api: Api, signal: AbortSignal);
    /** @param {Frame & {seq: number}} entry @param {string} epoch */
    take(entry: Frame & {
        seq: number;
    }, epoch: string): void;
    /** Asks until this position is reached. @param {number} seq @param {string} epoch */
    reach(seq: number, epoch: string): void;
    #private;
}
export type Api = import("./http.js").Api;
export type Log = import("./log.js").Log;
export type Frame = import("./switchboard.js").Frame;
