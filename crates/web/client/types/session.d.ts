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
    /** @param {string} name one a user and service @param {Me} me @param {Place} place @param {Storage} storage @param {Api} api @param {Environment} environment @param {Listener} listener */
    constructor(name: string, { id, cursor, epoch, unread_count }: Me, place: Place, storage: Storage, api: Api, environment: Environment, listener: Listener);
    /** @type {Outbox} */
    outbox: Outbox;
    /** Reads the outbox, if that can be read now. */
    load(): Promise<void>;
    /** Entries come from now on. */
    start(): void;
    /** Ends without a word. What is in the outbox is sent another time. */
    end(): void;
    /** Tells the other pages that nobody is logged in any more. */
    signOut(): void;
    /** @param {object} frame @returns {boolean} whether it is on its way */
    send(frame: object): boolean;
    /** What this page says of itself is another thing than before. @param {Place} place */
    says(place: Place): void;
    /** This page goes, and may come back as it is. */
    left(): void;
    /** The network or the machine woke up, or somebody looks at this page. */
    woke(): void;
    /** The network is gone, as far as is known. */
    went(): void;
    /** A request was refused for want of credentials: it ends where there are none any more, or another user's. */
    doubt(): Promise<void>;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Api = import("./http.js").Api;
export type Outgoing = import("./outbox.js").Outgoing;
export type Place = import("./presence.js").Place;
export type Storage = import("./storage.js").Storage;
export type Frame = import("./switchboard.js").Frame;
export type Limits = import("./switchboard.js").Limits;
export type Me = import("./switchboard.js").Me;
export type Message = import("./switchboard.js").Message;
export type State = import("./switchboard.js").State;
export type Listener = {
    /**
     * `signed out` and `stopped` are the last
     */
    state: (state: State) => void;
    /**
     * the next one
     */
    entry: (entry: Frame) => void;
    /**
     * what is no entry
     */
    frame: (frame: Frame) => void;
    /**
     * what was loaded must be loaded anew
     */
    reset: () => void;
    /**
     * as the node has them
     */
    limits: (limits: Partial<Limits>) => void;
    unread: (unread: number) => void;
    /**
     * what is in it has changed
     */
    outbox: () => void;
    progress: (progress: {
        id: string;
        sent: number;
        total: number;
    }) => void;
    /**
     * gets another token, if there is one
     */
    renew: () => Promise<unknown>;
};
import { Outbox } from './outbox.js';
