/** Of an answer that grants nothing. @param {number} status @param {any} problem its body, if that is JSON */
export function refusalOf(status: number, problem: any): Refusal;
/** Why a request was not granted. Its message is a sentence for people. */
export class Refusal extends Error {
    /**
     * @param {string} code stable, for programs: one of the wire reference, or `unreachable` if there was no answer,
     *   `interrupted` if the connection ended before it
     * @param {string} message
     * @param {{status?: number, retryAfterMs?: number}} [more] the HTTP status, if there was one, and how long to wait
     */
    constructor(code: string, message: string, { status, retryAfterMs }?: {
        status?: number;
        retryAfterMs?: number;
    });
    code: string;
    status: number;
    retryAfterMs: number;
    /** Whether the same request may be granted later. */
    get isPassing(): boolean;
    /** Whether there are no credentials that count. */
    get isUnauthorized(): boolean;
}
/** The API of one deployment, as one user. */
export class Api {
    /**
     * @param {string} url the origin of the service
     * @param {Environment} environment
     * @param {(refused?: string) => Promise<string | undefined>} token what stands after `Bearer`, if there is another than one
     *   that was refused; nothing where a cookie says who asks
     * @param {() => void} doubted a request was refused for want of credentials that count
     */
    constructor(url: string, environment: Environment, token: (refused?: string) => Promise<string | undefined>, doubted: () => void);
    /** Whose requests these are, once that is known: the cookie may have become another one's meanwhile. @type {number | undefined} */
    user: number | undefined;
    url: string;
    /** @param {string} path @param {RequestOptions['query']} [query] */
    address(path: string, query?: RequestOptions["query"]): URL;
    /** The headers that say who asks. @param {string} [refused] a token @returns {Promise<Record<string, string>>} */
    credentials(refused?: string): Promise<Record<string, string>>;
    /**
     * One request.
     *
     * @param {string} method
     * @param {string} path below `/api/v1`
     * @param {RequestOptions} [options]
     * @returns {Promise<any>} the body, if there is one
     * @throws {Refusal} if it is not granted
     */
    request(method: string, path: string, options?: RequestOptions): Promise<any>;
    /**
     * The same, again and again until it is granted or refused for good.
     *
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions & {signal: AbortSignal}} options
     * @returns {Promise<any>}
     */
    persist(method: string, path: string, options: RequestOptions & {
        signal: AbortSignal;
    }): Promise<any>;
    /**
     * Uploads a file for a message that is sent later.
     *
     * @param {Blob} file
     * @param {{filename?: string, progress?: (sent: number, total: number) => void, signal?: AbortSignal}} [options] bytes
     * @returns {Promise<Attachment>}
     * @throws {Refusal}
     */
    upload(file: Blob, { filename, progress, signal }?: {
        filename?: string;
        progress?: (sent: number, total: number) => void;
        signal?: AbortSignal;
    }): Promise<Attachment>;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Attachment = import("./switchboard.js").Attachment;
export type RequestOptions = {
    query?: Record<string, string | number | undefined> | undefined;
    /**
     * sent as JSON
     */
    body?: object | undefined;
    signal?: AbortSignal | undefined;
};
