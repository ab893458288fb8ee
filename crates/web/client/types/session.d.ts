export class Session {
    /** @param {string} name one a user and service @param {Me} me @param {Storage} storage @param {Api} api @param {Environment} environment @param {Listener} listener */
    constructor(name: string, { id, cursor, epoch, unread_count }: Me, storage: Storage, api: Api, environment: Environment, listener: Listener);
    /** @type {Outbox} */
    outbox: Outbox;
    start(): void;
    /** Ends without a word. What is in the outbox is sent another time. */
    end(): void;
    /** Tells the other pages that nobody is logged in any more. */
    signOut(): void;
    /** @param {object} frame @returns {boolean} whether it is on its way */
    send(frame: object): boolean;
    /** The network or the machine woke up, or somebody looks at this page. */
    woke(): void;
    /** The network is gone, as far as is known. */
    went(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Api = import("./http.js").Api;
export type Outgoing = import("./outbox.js").Outgoing;
export type Storage = import("./storage.js").Storage;
export type Frame = import("./switchboard.js").Frame;
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
