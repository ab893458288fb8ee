/** @typedef {import('./outbox.js').Outgoing} Outgoing */
/**
 * Messages in the order in which they were written, each with an `id` of its own.
 *
 * @typedef {object} Storage
 * @property {boolean} isShared whether all pages of this user in this browser see the same
 * @property {() => Promise<Outgoing[]>} load
 * @property {(item: Outgoing) => Promise<void>} put adds a message behind the others, or replaces the one with its id
 * @property {(id: string) => Promise<void>} remove
 * @property {() => void} close
 */
/** Forgotten with the page. @returns {Storage} */
export function inMemory(): Storage;
/**
 * Outlives the page, in IndexedDB.
 *
 * @param {IDBFactory} factory
 * @param {string} name of the database: one a user and service
 * @returns {Promise<Storage>}
 */
export function inDatabase(factory: IDBFactory, name: string): Promise<Storage>;
export type Outgoing = import("./outbox.js").Outgoing;
/**
 * Messages in the order in which they were written, each with an `id` of its own.
 */
export type Storage = {
    /**
     * whether all pages of this user in this browser see the same
     */
    isShared: boolean;
    load: () => Promise<Outgoing[]>;
    /**
     * adds a message behind the others, or replaces the one with its id
     */
    put: (item: Outgoing) => Promise<void>;
    remove: (id: string) => Promise<void>;
    close: () => void;
};
