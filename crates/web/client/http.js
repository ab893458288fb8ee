// Requests to the HTTP API, and how they are refused.

import { backoff, nap } from './environment.js';

/**
 * @typedef {import('./environment.js').Environment} Environment
 * @typedef {import('./switchboard.js').Attachment} Attachment
 * @typedef {object} RequestOptions
 * @property {Record<string, string | number | undefined>} [query]
 * @property {object} [body] sent as JSON
 * @property {AbortSignal} [signal]
 */

/** A request may take so long, in milliseconds; one with a file, `UPLOAD_MS` without a byte on its way. */
const REQUEST_MS = 30_000;
const UPLOAD_MS = 60_000;

/** Codes of refusals that say nothing of the request itself: the same may be granted later. */
const PASSING = ['unreachable', 'interrupted', 'rate_limited', 'store_unavailable', 'overloaded', 'draining', 'too_many_connections'];

/** Why a request was not granted. Its message is a sentence for people. */
export class Refusal extends Error {
  /**
   * @param {string} code stable, for programs: one of the wire reference, or `unreachable` if there was no answer,
   *   `interrupted` if the connection ended before it
   * @param {string} message
   * @param {{status?: number, retryAfterMs?: number}} [more] the HTTP status, if there was one, and how long to wait
   */
  constructor(code, message, { status = 0, retryAfterMs = 0 } = {}) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may be granted later. */
  get isPassing() {
    return PASSING.includes(this.code) || [429, 502, 503, 504].includes(this.status);
  }

  /** Whether there are no credentials that count. */
  get isUnauthorized() {
    return this.code === 'unauthorized' || this.code === 'token_expired' || this.status === 401;
  }
}

/** The API of one deployment, as one user. */
export class Api {
  /** Whose requests these are, once that is known: the cookie may have become another one's meanwhile. @type {number | undefined} */
  user;
  #environment;
  #token;
  #doubted;

  /**
   * @param {string} url the origin of the service
   * @param {Environment} environment
   * @param {(refused?: string) => Promise<string | undefined>} token what stands after `Bearer`, if there is another than one
   *   that was refused; nothing where a cookie says who asks
   * @param {() => void} doubted a request was refused for want of credentials that count
   */
  constructor(url, environment, token, doubted) {
    this.url = url;
    this.#environment = environment;
    this.#token = token;
    this.#doubted = doubted;
  }

  /** @param {string} path @param {RequestOptions['query']} [query] */
  address(path, query = {}) {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  /** The headers that say who asks. @param {string} [refused] a token @returns {Promise<Record<string, string>>} */
  async credentials(refused) {
    const token = await this.#token(refused).catch(() => {
      throw new Refusal('unreachable', 'a token cannot be had');
    });
    if (token !== undefined) return { Authorization: `Bearer ${token}` };
    return this.user === undefined ? {} : { 'Switchboard-User': String(this.user) };
  }

  /**
   * @template T
   * @param {(headers: Record<string, string>) => Promise<T>} attempt
   * @returns {Promise<T>}
   */
  async #authorized(attempt) {
    try {
      return await this.#attempt(attempt);
    } catch (error) {
      if (error instanceof Refusal && error.isUnauthorized) this.#doubted();
      throw error;
    }
  }

  /**
   * Makes an attempt, and a second one where the token has expired and there is another.
   *
   * @template T
   * @param {(headers: Record<string, string>) => Promise<T>} attempt
   * @returns {Promise<T>}
   */
  async #attempt(attempt) {
    const headers = await this.credentials();
    try {
      return await attempt(headers);
    } catch (error) {
      const { Authorization } = headers;
      if (!(error instanceof Refusal && error.isUnauthorized && Authorization)) throw error;
      const others = await this.credentials(Authorization.slice('Bearer '.length));
      if (others.Authorization === Authorization) throw error;
      return attempt(others);
    }
  }

  /**
   * One request.
   *
   * @param {string} method
   * @param {string} path below `/api/v1`
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} the body, if there is one
   * @throws {Refusal} if it is not granted
   */
  request(method, path, options) {
    return this.#authorized((headers) => this.#ask(method, path, headers, options));
  }

  /** @param {string} method @param {string} path @param {Record<string, string>} credentials @param {RequestOptions} [options] */
  async #ask(method, path, credentials, { query, body, signal } = {}) {
    const headers = body ? { ...credentials, 'Content-Type': 'application/json' } : credentials;
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = this.#environment.setTimeout(() => stop.abort(), REQUEST_MS);
    try {
      signal?.throwIfAborted();
      const init = { method, headers, body: body && JSON.stringify(body), signal: stop.signal };
      const response = await this.#environment.fetch(this.address(`/api/v1${path}`, query), { ...init, cache: 'no-store' });
      const answer = isJson(response.headers.get('Content-Type')) ? await response.json() : undefined;
      if (!response.ok) throw refusalOf(response.status, answer);
      // The page of some proxy.
      if (answer === undefined && response.status !== 204) throw new TypeError('no answer of the service');
      return answer;
    } catch (error) {
      if (error instanceof Refusal || signal?.aborted) throw error;
      throw new Refusal('unreachable', 'the service cannot be reached');
    } finally {
      this.#environment.clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * The same, again and again until it is granted or refused for good.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions & {signal: AbortSignal}} options
   * @returns {Promise<any>}
   */
  async persist(method, path, options) {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.request(method, path, options);
      } catch (error) {
        if (!(error instanceof Refusal && error.isPassing)) throw error;
        const ms = error.retryAfterMs + backoff(this.#environment, failures);
        await nap(this.#environment, ms, options.signal).over;
      }
    }
  }

  /**
   * Uploads a file for a message that is sent later.
   *
   * @param {Blob} file
   * @param {{filename?: string, progress?: (sent: number, total: number) => void, signal?: AbortSignal}} [options] bytes
   * @returns {Promise<Attachment>}
   * @throws {Refusal}
   */
  async upload(file, { filename = 'name' in file ? String(file.name) : 'file', progress, signal } = {}) {
    const body = new FormData();
    body.append('file', file, filename);
    const address = this.address('/api/v1/attachments');
    const send = typeof XMLHttpRequest === 'undefined' ? this.#uploadByFetch : uploadWithProgress;
    const answer = await this.#authorized(async (headers) => {
      const { status, answer } = await send.call(this, address, headers, body, progress, signal);
      if (status !== 201) throw refusalOf(status, answer);
      return answer;
    });
    progress?.(file.size, file.size);
    return answer.attachments[0];
  }

  /** @param {URL} url @param {Record<string, string>} headers @param {FormData} body @param {unknown} _progress @param {AbortSignal} [signal] */
  async #uploadByFetch(url, headers, body, _progress, signal) {
    try {
      const response = await this.#environment.fetch(url, { method: 'POST', headers, body, signal });
      return { status: response.status, answer: isJson(response.headers.get('Content-Type')) ? await response.json() : undefined };
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refusal('unreachable', 'the service cannot be reached');
    }
  }
}

/** @param {string | null} type */
const isJson = (type) => /[/+]json\b/.test(type ?? '');

/** Of an answer that grants nothing. @param {number} status @param {any} problem its body, if that is JSON */
export function refusalOf(status, problem) {
  const { code = 'unknown', title = `the service answered ${status}`, retry_after_ms: retryAfterMs = 0 } = problem ?? {};
  return new Refusal(code, title, { status, retryAfterMs });
}

/**
 * Only this tells how far an upload is.
 *
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {FormData} body
 * @param {((sent: number, total: number) => void) | undefined} progress
 * @param {AbortSignal} [signal]
 * @returns {Promise<{status: number, answer: any}>}
 */
function uploadWithProgress(url, headers, body, progress, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const unreachable = () => reject(new Refusal('unreachable', 'the service cannot be reached'));
    let stalled = setTimeout(abort, UPLOAD_MS);
    request.open('POST', url);
    request.responseType = 'json';
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => {
      clearTimeout(stalled);
      stalled = setTimeout(abort, UPLOAD_MS);
      progress?.(loaded, total);
    };
    request.onload = () => resolve({ status: request.status, answer: request.response });
    request.onerror = unreachable;
    request.onabort = () => (signal?.aborted ? reject(signal.reason) : unreachable());
    request.onloadend = () => {
      clearTimeout(stalled);
      signal?.removeEventListener('abort', abort);
    };
    signal?.addEventListener('abort', abort, { once: true });
    request.send(body);
  });
}
