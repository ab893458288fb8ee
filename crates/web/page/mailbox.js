// What the user has, as far as the page holds it: the list of conversations and one open thread. Filled over
// HTTP, then kept by the entries of the feed. It draws nothing.

import * as api from './api.js';

/**
 * @typedef {import('./api.js').Message} Message
 * @typedef {import('./api.js').Conversation} Conversation
 * @typedef {import('./api.js').User} User
 * @typedef {{id: number, user: User, messages: Map<number, Message>, before?: number, isLoading: boolean}} Thread
 */

/** Conversations loaded at a time, and the most that one request gives. */
const PAGE = 50;
const PAGE_MAX = 200;
/** Messages of a thread that are kept; older ones are loaded again when asked for. */
const THREAD_MAX = 500;

export class Mailbox {
  /** @type {Map<number, Conversation>} */
  conversations = new Map();
  /** For the next page of them. @type {number | undefined} */
  before;
  /** @type {Thread | undefined} */
  thread;
  unread;
  isLoaded = false;
  #me;
  #work;
  #report;
  #changed;
  /** Deleted messages, which an answer that was under way may still hold. @type {Set<number>} */
  #deleted = new Set();
  /** Messages that came while the list was on its way. @type {Message[]} */
  #arrived = [];
  #isStale = false;
  #isLoading = false;

  /**
   * @param {import('./api.js').Me} me
   * @param {<T>(attempt: () => Promise<T>) => Promise<T>} work repeats a request until it is answered
   * @param {(error: Error) => void} report told why a request that nobody waits for failed
   * @param {() => void} changed
   */
  constructor(me, work, report, changed) {
    this.#me = me;
    this.unread = me.unread_count;
    this.#work = work;
    this.#report = report;
    this.#changed = changed;
  }

  /** Loads the list of conversations, as far as it was loaded. Asked for meanwhile, it is loaded once more. */
  async reload() {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      while (this.#isStale) await this.#load();
    } finally {
      this.#isLoading = false;
    }
  }

  async #load() {
    this.#isStale = false;
    this.#arrived = [];
    const limit = Math.min(Math.max(PAGE, this.conversations.size), PAGE_MAX);
    const page = await this.#work(() => api.conversations(limit));
    this.conversations = new Map(page.conversations.map((conversation) => [conversation.id, conversation]));
    this.before = page.before;
    this.isLoaded = true;
    for (const message of this.#arrived) this.#list(message);
    this.#changed();
  }

  async loadMore() {
    const { before, conversations } = this;
    const page = await this.#work(() => api.conversations(PAGE, before));
    if (this.conversations !== conversations) return;
    for (const conversation of page.conversations) {
      if (!conversations.has(conversation.id)) conversations.set(conversation.id, conversation);
    }
    this.before = page.before;
    this.#changed();
  }

  /** @param {number} id @param {User} user the other member */
  async open(id, user) {
    this.thread = { id, user, messages: new Map(), isLoading: false };
    await this.loadOlder();
  }

  close() {
    this.thread = undefined;
    this.#changed();
  }

  async loadOlder() {
    const { thread } = this;
    if (!thread || thread.isLoading) return;
    thread.isLoading = true;
    this.#changed();
    try {
      const page = await this.#work(() => api.history(thread.id, thread.before));
      thread.before = page.before;
      for (const message of page.messages) this.#keep(thread, message);
    } finally {
      thread.isLoading = false;
      this.#changed();
    }
  }

  /** All that the page holds is of no use any more. */
  async reset() {
    this.#deleted.clear();
    const { thread } = this;
    await Promise.all([this.reload(), thread && this.open(thread.id, thread.user)]);
  }

  /** Takes an entry, or what an answer says before its entry comes. @param {import('./feed.js').Frame} frame */
  apply(frame) {
    /** @type {number[]} */
    const ids = frame.message_ids?.length ? frame.message_ids : [frame.message_id];
    switch (frame.type) {
      case 'new_message':
      case 'message_sent':
        this.#take(frame.data);
        break;
      case 'read_receipt':
      case 'message_read':
        for (const id of ids) this.#markRead(id);
        break;
      case 'message_deleted':
        this.#deleted.add(frame.message_id);
        this.thread?.messages.delete(frame.message_id);
        break;
    }
    if (frame.unread_count !== undefined) {
      this.unread = frame.unread_count;
      // How many are left in which conversation, and what its last message is now, only the store knows.
      this.reload().catch(this.#report);
    }
    this.#changed();
  }

  /** @param {Message} message sent or received */
  #take(message) {
    if (this.#isLoading) this.#arrived.push(message);
    this.#list(message);
    if (this.thread?.id !== message.conversation_id) return;
    this.#keep(this.thread, message);
    const { messages } = this.thread;
    if (messages.size <= THREAD_MAX) return;
    const ids = [...messages.keys()].sort((a, b) => a - b);
    for (const id of ids.splice(0, THREAD_MAX / 10)) messages.delete(id);
    this.thread.before = ids[0];
  }

  /** Puts a message into the list, unless it is there: ids ascend within a conversation. @param {Message} message */
  #list(message) {
    const conversation = this.conversations.get(message.conversation_id);
    if (!conversation) {
      this.reload().catch(this.#report);
    } else if (message.message_id > conversation.last_message.message_id) {
      conversation.last_message = message;
      conversation.unread_count += Number(message.recipient_id === this.#me.id && !message.is_read);
    }
  }

  /** What was read once stays read, in whatever order the answers come. @param {Thread} thread @param {Message} message */
  #keep({ messages }, message) {
    if (this.#deleted.has(message.message_id)) return;
    const wasRead = messages.get(message.message_id)?.is_read ?? false;
    messages.set(message.message_id, { ...message, is_read: message.is_read || wasRead });
  }

  /** @param {number} id */
  #markRead(id) {
    const message = this.thread?.messages.get(id);
    if (message) message.is_read = true;
  }
}
