// A world without real time or network: a clock that is turned by hand, and a service that goes wrong as told.

import { webcrypto } from 'node:crypto';

// Debian's Node is older than what the client asks for, and lacks this name alone.
globalThis.crypto ??= webcrypto;

/** A clock whose timers run when it is advanced. */
export class Clock {
  now = 1_800_000_000_000;
  #timers = new Map();
  #next = 1;
  #passed = 0;

  setTimeout(action, ms) {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#passed + Math.max(0, ms), id, action });
    return id;
  }

  clearTimeout(id) {
    this.#timers.delete(id);
  }

  /** The wall clock is set, and no time passes. */
  jump(ms) {
    this.now += ms;
  }

  /** The machine sleeps: timers are late. */
  sleep(ms) {
    this.now += ms;
  }

  get n_timers() {
    return this.#timers.size;
  }

  async advance(ms) {
    const end = this.#passed + ms;
    await settle();
    for (let steps = 0; ; steps += 1) {
      if (steps > 200_000) throw new Error('a timer begins itself again and again');
      let first;
      for (const timer of this.#timers.values()) {
        if (timer.at <= end && (!first || timer.at < first.at || (timer.at === first.at && timer.id < first.id))) first = timer;
      }
      if (!first) break;
      this.#timers.delete(first.id);
      this.now += first.at - this.#passed;
      this.#passed = first.at;
      first.action();
      await settle();
    }
    this.now += end - this.#passed;
    this.#passed = end;
    await settle();
  }
}

/** All that is ready to happen happens. */
export async function settle() {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Numbers that are the same for the same seed (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The service, as one user sees it. */
export class Service {
  epoch = 'e1';
  floor = 0;
  /** The mailbox: entry n has the position n. */
  entries = [];
  messages = new Map();
  sockets = new Set();
  streams = new Set();
  /** What goes wrong. */
  faults = { http: false, sockets: false, streams: false, session: false, silent: false };
  /** The answers to the next sends: codes of errors. */
  refusals = [];
  /** What happens to the next frames: 'lose' or 'repeat'. */
  frames = [];
  requests = [];
  /** Those that counted, with the user whose they were, and whom the page named. */
  granted = [];
  lastFile = 0;
  user = { id: 1, username: 'ann', full_name: '' };
  /** Tokens that have expired. */
  expired = new Set();
  delay = 5;
  /** Who is not offline, and what was asked of presence: lists of users, or what somebody said of themselves. */
  statuses = new Map();
  asked = [];
  /** Codes of errors for the next lists. */
  watchRefusals = [];
  limits = {};

  constructor(clock) {
    this.clock = clock;
  }

  /** A message of somebody else comes. */
  receive(content) {
    const data = { message_id: this.entries.length + 1, conversation_id: 1, sender_id: 2, content, is_read: false };
    this.append({ type: 'new_message', data });
  }

  append(entry) {
    this.entries.push({ ...entry, seq: this.entries.length + 1 });
    const last = this.entries.at(-1);
    for (const wire of [...this.sockets, ...this.streams]) this.#push(wire, last);
  }

  #push(wire, frame) {
    const fate = this.frames.shift();
    if (fate === 'lose') return;
    wire.give(frame);
    if (fate === 'repeat') wire.give(frame);
  }

  /** All connections end. */
  drop(code = 1006) {
    for (const wire of [...this.sockets, ...this.streams]) wire.lose(code);
  }

  /** The mailbox is another one, with so many entries. */
  restore(n_entries) {
    this.epoch += "'";
    this.entries = this.entries.slice(0, n_entries);
    for (const wire of [...this.sockets, ...this.streams]) wire.give({ type: 'reset', cursor: this.entries.length, epoch: this.epoch });
  }

  welcome(cursor) {
    return {
      type: 'welcome', user: this.user, epoch: this.epoch, cursor, unread_count: 0, heartbeat_interval_ms: 25_000, limits: this.limits,
    };
  }

  /** What a new connection gets. */
  after(cursor, epoch) {
    const end = this.entries.length;
    if (epoch !== this.epoch || cursor > end || cursor < this.floor) {
      return [{ type: 'reset', cursor: end, epoch: this.epoch }];
    }
    return this.entries.slice(cursor);
  }

  /** A request to send, however it comes: an answer that is an entry, a repeat or an error. */
  take(message) {
    const code = this.refusals.shift();
    const id = message.client_message_id;
    if (code) return { type: 'error', code, error: code, client_message_id: id };
    const prior = this.messages.get(id);
    if (prior) return { ...prior, repeat: true };
    const sent = { type: 'message_sent', client_message_id: id, data: { message_id: this.messages.size + 1, content: message.content } };
    this.append(sent);
    this.messages.set(id, this.entries.at(-1));
    return this.entries.at(-1);
  }

  presenceOf(users) {
    this.asked.push(users);
    return users.map((user_id) => ({ user_id, status: this.statuses.get(user_id) ?? 'offline' }));
  }

  /** The answers to a frame. */
  watch({ user_ids, request_id }) {
    const presence = this.presenceOf(user_ids);
    const code = this.watchRefusals.shift();
    if (code) return [{ type: 'error', code, error: code, request_id }];
    return presence.map((each) => ({ type: 'presence', ...each }));
  }

  async fetch(url, { method = 'GET', body, signal, headers = {} } = {}) {
    const path = url.pathname.replace('/api/v1', '');
    this.requests.push(`${method} ${path}`);
    await this.#travel(signal);
    if (this.faults.http) throw new TypeError('unreachable');
    const { Authorization, 'Switchboard-User': named } = headers;
    if (!Authorization && named !== undefined && named !== String(this.user.id)) return problem(401, 'unauthorized');
    if (this.faults.session) return problem(401, 'unauthorized');
    if (this.expired.has(Authorization?.slice('Bearer '.length))) return problem(401, 'token_expired');
    this.granted.push(`${method} ${path} as ${this.user.username} for ${named ?? 'anybody'}`);
    const cursor = Number(url.searchParams.get('cursor') ?? this.entries.length);
    if (path === '/presence') {
      return json(200, { presence: this.presenceOf(url.searchParams.get('user_ids').split(',').map(Number)) });
    }
    const answer = this.#answer(method, path, { cursor, epoch: url.searchParams.get('epoch'), body, signal });
    await this.#travel(signal);
    return answer;
  }

  #answer(method, path, { cursor, epoch, body, signal }) {
    switch (`${method} ${path}`) {
      case 'GET /me':
        return json(200, { ...this.user, epoch: this.epoch, cursor: this.entries.length, unread_count: 0 });
      case 'GET /events': {
        const events = this.after(cursor, epoch).slice(0, 100);
        return json(200, { events, cursor: 0, epoch: this.epoch });
      }
      case 'GET /events/stream':
        return this.faults.streams ? problem(404, 'not_found') : new Response(new FakeStream(this, cursor, epoch, signal).body);
      case 'POST /messages': {
        const answer = this.take(JSON.parse(body));
        if (answer.type !== 'error') return json(201, answer);
        return problem(answer.code === 'store_unavailable' ? 503 : answer.code === 'rate_limited' ? 429 : 400, answer.code);
      }
      case 'POST /attachments':
        return json(201, { attachments: [{ id: (this.lastFile += 1) }] });
      case 'POST /auth/ticket':
        return json(200, { ticket: 't' });
      case 'POST /auth/logout':
        this.faults.session = true;
        this.drop(4403);
        return new Response(null, { status: 204 });
      default:
        return new Response(null, { status: 204 });
    }
  }

  #travel(signal) {
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      if (signal?.aborted) reject(signal.reason);
      this.clock.setTimeout(resolve, this.delay);
    });
  }
}

const json = (status, body) => Response.json(body, { status });
const problem = (status, code) =>
  new Response(JSON.stringify({ status, code, title: code }), { status, headers: { 'Content-Type': 'application/problem+json' } });

class FakeStream {
  constructor(service, cursor, epoch, signal) {
    this.service = service;
    const encoder = new TextEncoder();
    this.body = new ReadableStream({
      start: (controller) => {
        this.give = (frame) => service.clock.setTimeout(() => {
          if (service.faults.silent || !service.streams.has(this)) return;
          // Cut in two, as networks do.
          const text = `id: 1-e\ndata: ${JSON.stringify(frame)}\n\n`;
          for (const part of [text.slice(0, 9), text.slice(9)]) controller.enqueue(encoder.encode(part));
        }, service.delay);
        this.lose = () => service.streams.delete(this) && controller.error(new TypeError('cut'));
        signal.addEventListener('abort', () => service.streams.delete(this) && controller.error(signal.reason));
      },
    });
    service.streams.add(this);
    this.give(service.welcome(cursor));
    for (const frame of service.after(cursor, epoch)) this.give(frame);
  }
}

/** The class of the sockets to a service. */
export function socketsTo(service) {
  return class {
    onmessage = null;
    onclose = null;
    #isOpen = false;
    #isClosed = false;

    constructor(url) {
      const { clock } = service;
      clock.setTimeout(() => {
        if (this.#isClosed) return;
        if (service.faults.http || service.faults.sockets || service.faults.session) return this.onclose?.({ code: 1006 });
        this.#isOpen = true;
        service.sockets.add(this);
        const cursor = Number(url.searchParams.get('cursor'));
        this.give(service.welcome(cursor));
        for (const frame of service.after(cursor, url.searchParams.get('epoch'))) this.give(frame);
      }, 2 * service.delay);
    }

    give(frame) {
      service.clock.setTimeout(() => {
        if (this.#isOpen && !service.faults.silent) this.onmessage?.({ data: JSON.stringify(frame) });
      }, service.delay);
    }

    lose(code) {
      service.sockets.delete(this);
      if (!this.#isOpen) return;
      this.#isOpen = false;
      this.onclose?.({ code });
    }

    send(text) {
      service.clock.setTimeout(() => {
        if (!this.#isOpen || service.faults.silent) return;
        const frame = JSON.parse(text);
        if (frame.type === 'ping') return this.give({ type: 'pong' });
        if (frame.type === 'watch_presence') for (const answer of service.watch(frame)) this.give(answer);
        if (frame.type === 'set_presence') service.asked.push(frame.status);
        if (frame.type !== 'send_message') return;
        const answer = service.take(frame);
        if (answer.repeat || answer.type === 'error') this.give(answer);
      }, service.delay);
    }

    close() {
      this.#isClosed = true;
      this.#isOpen = false;
      service.sockets.delete(this);
    }
  };
}

/** The pages of one browser. */
export class Browser {
  isOnline = true;
  #channels = new Set();
  #queue = [];
  /** Who has the lock. */
  #holder;
  #stored = new Map();
  watchers = new Set();

  constructor(service, clock, random) {
    Object.assign(this, { service, clock, random });
  }

  /** The environment of one page. */
  page({ tabs = true, shared = true } = {}) {
    const { clock, service } = this;
    const browser = this;
    class Channel {
      onmessage = null;
      #isClosed = false;
      constructor() {
        browser.#channels.add(this);
      }
      get isMuted() {
        return environment.isFrozen;
      }
      postMessage(message) {
        if (this.#isClosed) throw new DOMException('closed', 'InvalidStateError');
        const copy = structuredClone(message);
        const hear = (other) => other.isMuted || other.onmessage?.({ data: copy });
        for (const other of browser.#channels) if (other !== this && !this.isMuted) clock.setTimeout(() => hear(other), 1);
      }
      close() {
        this.#isClosed = true;
        this.onmessage = null;
        browser.#channels.delete(this);
      }
    }
    let isFrozen = false;
    /** What is due since it is frozen, by timer. */
    const late = new Map();
    const environment = {
      /** Whether the page does nothing by itself, says nothing to others and hears nothing of them. */
      get isFrozen() {
        return isFrozen;
      },
      set isFrozen(is) {
        isFrozen = is;
        if (!is) for (const id of [...late.keys()]) late.get(id)?.();
        late.clear();
      },
      fetch: (url, init) => service.fetch(url, init),
      WebSocket: socketsTo(service),
      setTimeout: (action, ms) => {
        const id = clock.setTimeout(() => (isFrozen ? late.set(id, action) : action()), ms);
        return id;
      },
      clearTimeout: (id) => {
        late.delete(id);
        clock.clearTimeout(id);
      },
      now: () => clock.now,
      random: this.random,
      isOnline: () => this.isOnline,
      locks: tabs ? { request: (_name, options, held) => this.#request(options, held) } : undefined,
      BroadcastChannel: tabs ? Channel : undefined,
      openStorage: async () => this.#storage(shared),
      watch: (woke, went, left) => {
        const watcher = { woke, went, left };
        this.watchers.add(watcher);
        return () => this.watchers.delete(watcher);
      },
    };
    return environment;
  }

  /** The network comes or goes, as the browser says. */
  online(isOnline) {
    this.isOnline = isOnline;
    for (const { woke, went } of this.watchers) (isOnline ? woke : went)();
  }

  async #request({ signal, steal = false }, held) {
    if (!steal) {
      await new Promise((resolve, reject) => {
        this.#queue.push({ resolve, signal });
        signal.addEventListener('abort', () => reject(signal.reason));
        this.#grant();
      });
    }
    this.#holder?.rob?.(new DOMException('stolen', 'AbortError'));
    const holder = {};
    this.#holder = holder;
    const robbed = new Promise((_, reject) => (holder.rob = reject));
    try {
      await Promise.race([held(), robbed]);
    } finally {
      if (this.#holder === holder) this.#holder = undefined;
      this.#grant();
    }
  }

  #grant() {
    while (!this.#holder && this.#queue.length > 0) {
      const { resolve, signal } = this.#queue.shift();
      if (signal.aborted) continue;
      this.#holder = {};
      resolve();
    }
  }

  #storage(isShared) {
    const items = isShared ? this.#stored : new Map();
    return {
      isShared,
      load: async () => [...items.values()].map((item) => ({ ...item })),
      put: async (item) => void items.set(item.id, { ...item }),
      remove: async (id) => void items.delete(id),
      close: () => {},
    };
  }
}
