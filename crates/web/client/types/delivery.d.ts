/**
 * @typedef {import('./http.js').Api} Api
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Frame} Frame
 * @typedef {import('./switchboard.js').Message} Message
 *
 * @typedef {object} Listener
 * @property {(frame: object) => boolean} send over the connection that stands; false if there is none that takes it
 * @property {(progress: {id: string, sent: number, total: number}) => void} progress of its files
 */
export class Delivery {
    /** @param {Api} api @param {Storage} storage @param {Listener} listener */
    constructor(api: Api, storage: Storage, listener: Listener);
    /** @param {Outgoing} item @param {AbortSignal} signal ends it, also when the message is known to be stored @returns {Promise<Message>} */
    attempt(item: Outgoing, signal: AbortSignal): Promise<Message>;
    /** The service refused one. @param {string} id @param {Refusal} why */
    refuse(id: string, why: Refusal): void;
    /** What was sent over a connection that is no more has to be sent again: whether it arrived is unknown. */
    interrupt(): void;
    #private;
}
export type Api = import("./http.js").Api;
export type Outgoing = import("./outbox.js").Outgoing;
export type Storage = import("./storage.js").Storage;
export type Frame = import("./switchboard.js").Frame;
export type Message = import("./switchboard.js").Message;
export type Listener = {
    /**
     * over the connection that stands; false if there is none that takes it
     */
    send: (frame: object) => boolean;
    /**
     * of its files
     */
    progress: (progress: {
        id: string;
        sent: number;
        total: number;
    }) => void;
};
import { Refusal } from './http.js';
