// The HTTP API: each function is one request, and throws a `Refusal` if it is not granted.

/**
 * @typedef {{id: number, username: string, full_name: string}} User
 * @typedef {User & {role: string, epoch: string, cursor: number, unread_count: number}} Me
 * @typedef {{id: number, filename: string, file_size: number, media_type: string}} Attachment
 * @typedef {{message_id: number, conversation_id: number, sender: string, sender_id: number, recipient_id: number,
 *   subject: string, content: string, created_at: string, is_read: boolean, attachments: Attachment[]}} Message
 * @typedef {{id: number, user: User, last_message: Message, unread_count: number}} Conversation
 * @typedef {{recipient_id: number, subject: string, content: string, client_message_id: string,
 *   attachment_ids: number[]}} NewMessage
 */

/** A request may take this long, in milliseconds; one that carries files, `UPLOAD_MS`. */
const REQUEST_MS = 30_000;
const UPLOAD_MS = 15 * 60_000;

/** Waits between attempts double from the first to the second, in milliseconds. */
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;

/** Why a request was not granted. Its message is a sentence for people. */
export class Refusal extends Error {
  /**
   * @param {number} status the HTTP status; 0 if there was no answer
   * @param {string} code stable, for programs
   * @param {string} message
   * @param {number} [retryAfterMs] do not ask again before
   */
  constructor(status, code, message, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may be granted later. */
  get isForNow() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, string | number | undefined>, body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the body, if there is one
 */
async function request(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(`/api/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const isForm = body instanceof FormData;
  const timeout = AbortSignal.timeout(isForm ? UPLOAD_MS : REQUEST_MS);
  try {
    const response = await fetch(url, {
      method,
      cache: 'no-store',
      headers: body && !isForm ? { 'Content-Type': 'application/json' } : {},
      body: isForm ? body : body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const isJson = /[/+]json\b/.test(response.headers.get('Content-Type') ?? '');
    const answer = isJson ? await response.json() : undefined;
    if (response.ok) return answer;
    const { code = 'unknown', title = `the service answered ${response.status}`, retry_after_ms } = answer ?? {};
    throw new Refusal(response.status, code, title, retry_after_ms);
  } catch (error) {
    if (error instanceof Refusal || signal?.aborted) throw error;
    throw new Refusal(0, 'unreachable', 'the service cannot be reached');
  }
}

/** @param {{username: string, password: string, full_name: string}} account */
export const register = (account) => request('POST', '/auth/register', { body: account });

/** @param {{username: string, password: string}} account @returns {Promise<Me>} */
export const logIn = ({ username, password }) => request('POST', '/auth/login', { body: { username, password } });

export const logOut = () => request('POST', '/auth/logout');

/** @returns {Promise<Me>} */
export const me = () => request('GET', '/me');

/** @param {string} query @param {number} limit @returns {Promise<{users: User[]}>} */
export const users = (query, limit) => request('GET', '/users', { query: { query, limit } });

/** @param {number} limit @param {number} [before] @returns {Promise<{conversations: Conversation[], before?: number}>} */
export const conversations = (limit, before) => request('GET', '/conversations', { query: { limit, before } });

/** @param {number} id @param {number} [before] @returns {Promise<{messages: Message[], before?: number}>} */
export const history = (id, before) => request('GET', `/conversations/${id}/messages`, { query: { before } });

/** @param {NewMessage} message @param {AbortSignal} signal @returns {Promise<{data: Message}>} */
export const send = (message, signal) => request('POST', '/messages', { body: message, signal });

/** @param {number} id */
export const markRead = (id) => request('POST', `/messages/${id}/read`);

/** @param {number} id */
export const remove = (id) => request('DELETE', `/messages/${id}`);

/** @param {File[]} files @param {AbortSignal} signal @returns {Promise<{attachments: Attachment[]}>} */
export function upload(files, signal) {
  const body = new FormData();
  for (const file of files) body.append('files', file);
  return request('POST', '/attachments', { body, signal });
}

/** @param {Attachment} attachment where its bytes are; made from the id, so that no text of others is a link */
export const attachmentUrl = ({ id }) => `/api/v1/attachments/${id}`;

/**
 * A wait after so many failures in a row, random between nothing and its cap, so that the pages of a node that
 * died do not come back all at once.
 * @param {number} failures
 */
export const backoff = (failures) => Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** failures);

/**
 * Makes a request that may be repeated until it is granted or refused for good.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {AbortSignal} signal ends it
 * @param {(why: Refusal) => void} [waiting] told before each wait
 * @returns {Promise<T>}
 */
export async function persist(attempt, signal, waiting) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Refusal && error.isForNow)) throw error;
      waiting?.(error);
      await pause(error.retryAfterMs + backoff(failures), signal);
    }
  }
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
