export { Refusal };
/** @extends {Emitter<Events>} */
export class Switchboard extends Emitter<Events> {
    /** @param {Options} [options] */
    constructor({ url, token, WebSocket, environment }?: Options);
    /** @type {State} */
    state: State;
    /** Who this is, once that is known. @type {Me | undefined} */
    me: Me | undefined;
    /** Messages received and not read. */
    unread: number;
    /** What the service takes: by default, until a node said otherwise. */
    limits: Limits;
    /** What is on its way, in the order of writing. @returns {readonly Outgoing[]} */
    get outbox(): readonly Outgoing[];
    /**
     * Follows the mailbox from its present end on, until `close`.
     *
     * @returns {Promise<Me>} once entries come; until then attempts go on
     * @throws {Refusal} if the credentials do not count, or the service does not want this client
     */
    connect(): Promise<Me>;
    /** Ends the connection. What is in the outbox is sent another time. */
    close(): void;
    /** Ends the session of this browser, on all its pages. Only where a cookie says who asks. */
    logOut(): Promise<void>;
    /**
     * Sends a message. It is kept, here and over a reload, and sent again until the service has it; those to one recipient or
     * conversation arrive in the order of their writing. Meanwhile it stands in `outbox`.
     *
     * @param {Draft} draft
     * @returns {Promise<Message>} once it is stored
     * @throws {Refusal} if it never will be; it stays in `outbox` with its `failure`, for `retry` or `discard`
     */
    send(draft: Draft): Promise<Message>;
    /** Sends a message of the outbox again that was refused. @param {string} id */
    retry(id: string): Promise<void>;
    /** Takes a message out of the outbox. If it is under way, it may arrive all the same. @param {string} id */
    discard(id: string): Promise<void>;
    /**
     * Marks a received message as read, or all of a conversation up to one.
     *
     * @param {{message_id: number} | {conversation_id: number, up_to: number}} which
     * @throws {Refusal} such as `not_found`
     */
    markRead(which: {
        message_id: number;
    } | {
        conversation_id: number;
        up_to: number;
    }): Promise<void>;
    /**
     * Tells the others in a conversation that this user writes, or does so no more. To be called at each key: most calls are
     * passed over. Nothing is promised of it.
     *
     * @param {{recipient_id: number} | {conversation_id: number}} to
     * @param {boolean} [isTyping]
     */
    typing(to: {
        recipient_id: number;
    } | {
        conversation_id: number;
    }, isTyping?: boolean): void;
    /**
     * Wants to know of these users whether they are there, in place of those whom this page named before: a `presence` of each
     * is told, and one of each change.
     *
     * @param {number[]} userIds all pages of a browser watch 1000 at most: those whom a page named last go first
     */
    watchPresence(userIds: number[]): void;
    /** Says whether somebody is at this page, as it is at first. Where nobody is at any page, this user is `away`. @param {boolean} isPresent */
    setPresent(isPresent: boolean): void;
    /**
     * A page of a conversation, the newest messages first: the latest, those before a message, or those that follow one.
     *
     * @param {number} conversationId
     * @param {{before?: number, after?: number, limit?: number}} [options] `before` or `after` of the page next to it
     * @returns {Promise<{messages: Message[], before?: number, after?: number}>}
     */
    history(conversationId: number, { before, after, limit }?: {
        before?: number;
        after?: number;
        limit?: number;
    }): Promise<{
        messages: Message[];
        before?: number;
        after?: number;
    }>;
    /**
     * Uploads a file by itself. `send` does that for the files of a message.
     *
     * @param {Blob} file
     * @param {{filename?: string, progress?: (sent: number, total: number) => void, signal?: AbortSignal}} [options] in bytes
     * @returns {Promise<Attachment>}
     */
    upload(file: Blob, options?: {
        filename?: string;
        progress?: (sent: number, total: number) => void;
        signal?: AbortSignal;
    }): Promise<Attachment>;
    /**
     * Any other request of the HTTP API, once.
     *
     * @param {string} method
     * @param {string} path below `/api/v1`
     * @param {import('./http.js').RequestOptions} [options]
     * @returns {Promise<any>}
     */
    request(method: string, path: string, options?: import("./http.js").RequestOptions): Promise<any>;
    #private;
}
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Frame = {
    type: string;
    seq?: number;
    repeat?: boolean;
} & Record<string, any>;
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type User = {
    id: number;
    username: string;
    full_name: string;
};
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Me = User & {
    role: string;
    has_password?: boolean;
    epoch: string;
    cursor: number;
    unread_count: number;
};
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Attachment = {
    id: number;
    filename: string;
    file_size: number;
    media_type: string;
    url: string;
};
/**
 * what the service takes; more of it is refused
 */
export type Limits = {
    frame_bytes: number;
    /**
     * in UTF-8
     */
    content_bytes: number;
    /**
     * Unicode scalar values
     */
    subject_chars: number;
    /**
     * of a message
     */
    attachments: number;
    /**
     * of a file
     */
    attachment_bytes: number;
    /**
     * on average
     */
    messages_per_second: number;
};
/**
 * as the wire reference has it
 */
export type Message = {
    message_id: number;
    conversation_id: number;
    sender: string;
    sender_id: number;
    /**
     * in a conversation of two
     */
    recipient_id?: number | undefined;
    subject: string;
    content: string;
    created_at: string;
    is_read: boolean;
    attachments: Attachment[];
};
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Outgoing = import("./outbox.js").Outgoing;
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Environment = import("./environment.js").Environment;
/**
 * A frame of the wire reference. One with `seq` and without `repeat` is an entry of the mailbox.
 */
export type Place = import("./presence.js").Place;
/**
 * How things stand with the service.
 *
 * - `closed`: before `connect`, and after `close`.
 * - `connecting`: the first attempt.
 * - `live`: entries come as they are written.
 * - `polling`: every five seconds, since nothing better works here. It goes on looking for something better.
 * - `reconnecting`: waits for `attempt` until `retryAt`.
 * - `offline`: the same without a network.
 * - `signed out`: the credentials do not count any more. `connect` begins anew.
 * - `stopped`: the service does not want this client as it is, for `reason`.
 */
export type State = {
    name: "closed" | "connecting" | "live" | "polling" | "reconnecting" | "offline" | "signed out" | "stopped";
    transport?: "stream" | "websocket" | "poll" | undefined;
    /**
     * how many attempts in a row came to nothing
     */
    attempt?: number | undefined;
    /**
     * milliseconds since 1970
     */
    retryAt?: number | undefined;
    /**
     * for people who look into it
     */
    reason?: string | undefined;
};
export type Options = {
    /**
     * the origin of the service; that of the page, if not given
     */
    url?: string | undefined;
    /**
     * what stands after `Bearer`, or what gives it,
     * and another when it has expired. Without it the browser's cookie says who asks
     */
    token?: string | ((expired: boolean) => string | Promise<string>) | undefined;
    /**
     * where there is none, as in Node 20
     */
    WebSocket?: {
        new (url: string | URL, protocols?: string | string[]): WebSocket;
        prototype: WebSocket;
        readonly CONNECTING: 0;
        readonly OPEN: 1;
        readonly CLOSING: 2;
        readonly CLOSED: 3;
    } | undefined;
    /**
     * for tests
     */
    environment?: Partial<import("./environment.js").Environment> | undefined;
};
/**
 * A message to be sent, to a user or to a conversation.
 */
export type Draft = {
    /**
     * this
     */
    recipient_id?: number | undefined;
    /**
     * or this
     */
    conversation_id?: number | undefined;
    content?: string | undefined;
    subject?: string | undefined;
    reply_to_id?: number | undefined;
    mention_ids?: number[] | undefined;
    files?: Blob[] | undefined;
};
/**
 * `me`: it is known who this is, and `send` works; entries come after it.
 *   `entry`: each entry, once, in order. `reset`: load anew what was loaded. `outbox`: what is on its way, in order.
 *   `progress`: of the files of an outgoing message, in bytes
 */
export type Events = {
    me: Me;
    state: State;
    entry: Frame;
    reset: undefined;
    unread: number;
    outbox: Outgoing[];
    progress: {
        id: string;
        sent: number;
        total: number;
    };
} & Record<string, any>;
import { Refusal } from './http.js';
import { Emitter } from './events.js';
