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
export const WATCH: "watch_presence";
export class Presence {
    /** @param {Place} place @param {Api} api @param {Environment} environment @param {Listener} listener */
    constructor(place: Place, api: Api, environment: Environment, listener: Listener);
    /** @param {Place} place */
    set place(place: Place);
    get place(): Place;
    /** Another page is there, and perhaps says something new. @param {Place} place */
    hear(place: Place): void;
    /** Another page is gone. @param {string} page */
    forget(page: string): void;
    /** There is a connection, which was told nothing yet. */
    opened(): void;
    /** There is none any more. */
    closed(): void;
    /** This page does not lead any more. */
    end(): void;
    /** The service does not watch them. @param {Refusal} why */
    refused(why: Refusal): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Api = import("./http.js").Api;
export type Refusal = import("./http.js").Refusal;
export type Frame = import("./switchboard.js").Frame;
/**
 * what a page says of itself
 */
export type Place = {
    /**
     * its name
     */
    page: string;
    /**
     * another one whenever it wants to be told of those whom it watches
     */
    version: number;
    watched: number[];
    /**
     * whether somebody is at it
     */
    isPresent: boolean;
};
export type Listener = {
    /**
     * over the connection that stands; false if it takes none
     */
    send: (frame: object) => boolean;
    /**
     * a `presence` that was asked for over HTTP
     */
    told: (frame: Frame) => void;
};
