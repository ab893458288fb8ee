/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./storage.js').Storage} Storage
 * @typedef {import('./switchboard.js').Message} Message
 */
/**
 * A message that the service does not have yet, as it is kept.
 *
 * @typedef {object} Outgoing
 * @property {string} id its `client_message_id`
 * @property {number} [recipient_id] this, or `conversation_id`
 * @property {number} [conversation_id]
 * @property {string} subject
 * @property {string} content
 * @property {number} [reply_to_id]
 * @property {number[]} [mention_ids]
 * @property {Blob[]} files
 * @property {number[]} [attachment_ids] of the files, once they are uploaded
 * @property {number} written_at milliseconds since 1970, by this machine's clock
 * @property {{code: string, message: string}} [failure] why it was refused for good; without it, the message is pending
 */
/**
 * How a message left: the service has it, or nobody wants it any more.
 *
 * @typedef {{id: string, message?: Message}} End
 *
 * @typedef {{end?: End}} News of a message that left, or is new or another than before
 */
/**
 * @typedef {object} Listener
 * @property {(item: Outgoing, signal: AbortSignal) => Promise<Message>} deliver one attempt
 * @property {() => void} changed what is in it
 * @property {(what: News) => void} stored what this page changed, for the others
 */
export class Outbox {
    /** @param {Storage} storage @param {Environment} environment @param {Listener} listener */
    constructor(storage: Storage, environment: Environment, listener: Listener);
    /** In the order of writing. @type {Outgoing[]} */
    items: Outgoing[];
    /** Begins to send. Before, messages only wait. */
    start(): Promise<void>;
    /** What is under way ends, and waits for the next start of this or another page. */
    stop(): void;
    /** Nobody waits any more. What is in it is kept. */
    close(): void;
    /** What waits for its next attempt has it now. */
    resume(): void;
    /** Reads again what is stored. */
    sync(): Promise<void>;
    /**
     * Keeps a message and sends it when its turn comes.
     *
     * @param {Outgoing} item
     * @returns {Promise<Message>} once the service has it; rejects with a `Refusal` if it never will
     */
    add(item: Outgoing): Promise<Message>;
    /** Sends one that was refused once more. @param {string} id */
    retry(id: string): Promise<void>;
    /** Takes a message out. If an attempt is under way, it may be stored all the same. @param {string} id */
    discard(id: string): Promise<void>;
    /** Another page changed something, and has stored that. @param {News} news */
    hear({ end }: News): undefined;
    /** The service has it: an answer says so, or an entry of the mailbox, whichever comes first. @param {string} id @param {Message} message */
    settle(id: string, message: Message): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Storage = import("./storage.js").Storage;
export type Message = import("./switchboard.js").Message;
/**
 * A message that the service does not have yet, as it is kept.
 */
export type Outgoing = {
    /**
     * its `client_message_id`
     */
    id: string;
    /**
     * this, or `conversation_id`
     */
    recipient_id?: number | undefined;
    conversation_id?: number | undefined;
    subject: string;
    content: string;
    reply_to_id?: number | undefined;
    mention_ids?: number[] | undefined;
    files: Blob[];
    /**
     * of the files, once they are uploaded
     */
    attachment_ids?: number[] | undefined;
    /**
     * milliseconds since 1970, by this machine's clock
     */
    written_at: number;
    /**
     * why it was refused for good; without it, the message is pending
     */
    failure?: {
        code: string;
        message: string;
    } | undefined;
};
/**
 * How a message left: the service has it, or nobody wants it any more.
 */
export type End = {
    id: string;
    message?: Message;
};
/**
 * of a message that left, or is new or another than before
 */
export type News = {
    end?: End;
};
export type Listener = {
    /**
     * one attempt
     */
    deliver: (item: Outgoing, signal: AbortSignal) => Promise<Message>;
    /**
     * what is in it
     */
    changed: () => void;
    /**
     * what this page changed, for the others
     */
    stored: (what: News) => void;
};
