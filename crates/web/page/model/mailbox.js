// The mailbox of the user: its conversations and threads, kept in line with its entries.

import { Conversations, SHELVES } from './conversations.js';
import { Thread, afterReaction, isUnread } from './thread.js';

/**
 * @typedef {import('../../client/switchboard.js').Switchboard} Switchboard
 * @typedef {import('../../client/switchboard.js').Frame} Frame
 * @typedef {import('../../client/switchboard.js').Message} Message
 */

/** From here on a number of unread messages is not exact. */
const MANY = 100;
/** Threads that stay loaded while others are looked at. */
const THREADS = 12;

export class Mailbox extends Conversations {
  #switchboard;
  /** The latest used last. @type {Map<number, Thread>} */
  #threads = new Map();

  /** @param {Switchboard} switchboard @param {import('./people.js').People} people */
  constructor(switchboard, people) {
    super(switchboard, people);
    this.#switchboard = switchboard;
    switchboard.on('entry', (entry) => this.#apply(entry));
    switchboard.on('reset', () => this.#reset());
    switchboard.on('state', ({ name }) => (name === 'live' || name === 'polling') && this.#retry());
  }

  get #me() {
    return this.#switchboard.me?.id ?? 0;
  }

  /** The messages of a conversation, which stay in line from now on. @param {number} id */
  thread(id) {
    const thread = this.#threads.get(id) ?? new Thread(id, this.#switchboard);
    this.#threads.delete(id);
    this.#threads.set(id, thread);
    const [oldest] = this.#threads.keys();
    if (this.#threads.size > THREADS) this.#threads.delete(oldest);
    return thread;
  }

  /** @override @param {number} id */
  isHeld(id) {
    return this.#threads.has(id) || super.isHeld(id);
  }

  /** @param {Frame} entry */
  #apply(entry) {
    const { type, data, message_id, message_ids = [message_id], conversation_id } = entry;
    if (type === 'new_message' || type === 'message_sent') this.#arrive(data);
    else if (type === 'message_read') this.#read(message_ids);
    else if (type === 'read_receipt') this.#receipt(message_ids, entry.read_counts);
    else if (type === 'message_deleted') this.#delete(message_id);
    else if (type === 'group_changed') this.#regroup(entry);
    else if (type === 'block_changed') this.emit('blocks', entry);
    else if (type === 'receipts_changed') this.emit('receipts', entry.send_receipts);
    else if (type === 'message_reaction') {
      this.#patch(message_id, (message) => (message.reactions = afterReaction(message.reactions ?? [], /** @type {any} */ (entry), this.#me)));
    } else if (type === 'message_edited') {
      const { subject, content, edited_at } = entry;
      this.#patch(message_id, (message) => Object.assign(message, { subject, content, edited_at }));
    } else if (type === 'conversation_changed') {
      const { is_muted, is_archived, draft } = entry;
      const conversation = this.conversations.get(conversation_id);
      if (!conversation) this.doubt(conversation_id);
      else Object.assign(conversation, { is_muted, is_archived, draft: this.drafts.get(conversation_id, draft) });
      this.changed(conversation_id);
    }
  }

  /** @param {Message} message */
  #arrive(message) {
    const { conversation_id: id, message_id, recipient_id, sender_id } = message;
    this.#threads.get(id)?.add(message);
    const conversation = this.conversations.get(id);
    if (!conversation) return this.doubt(id);
    // A list that was loaded meanwhile has it already.
    if ((conversation.last_message?.message_id ?? 0) >= message_id) return;
    conversation.last_message = message;
    conversation.rank = message_id;
    const isToSelf = recipient_id === sender_id;
    if (isUnread(message, this.#me) && !isToSelf && conversation.unread_count < MANY) conversation.unread_count += 1;
    this.changed(id);
  }

  /** @param {number} id @param {(message: any) => void} change of a message, wherever it is held */
  #patch(id, change) {
    for (const thread of this.#threads.values()) thread.patch(id, change);
    for (const { id: conversation, last_message } of this.conversations.values()) {
      if (last_message?.message_id !== id) continue;
      if (this.#threads.get(conversation)?.get(id) !== last_message) change(last_message);
      this.changed(conversation);
    }
  }

  /** The conversation of a message that is held here. @param {number} id */
  #whereIs(id) {
    const all = [...this.conversations.values()];
    return all.find(({ id: conversation, last_message }) => last_message?.message_id === id || this.#threads.get(conversation)?.get(id));
  }

  /** @param {number[]} ids of messages that the user has read */
  #read(ids) {
    for (const id of ids) {
      const conversation = this.#whereIs(id);
      const message = conversation && (this.#threads.get(conversation.id)?.get(id) ?? conversation.last_message);
      if (!conversation || conversation.unread_count >= MANY) this.doubt(conversation?.id);
      else if (message && isUnread(message, this.#me)) conversation.unread_count = Math.max(0, conversation.unread_count - 1);
      this.#patch(id, (message) => (message.is_read = true));
      if (conversation) this.changed(conversation.id);
    }
  }

  /** @param {number[]} ids @param {number[]} [counts] how many in a group have read each */
  #receipt(ids, counts) {
    ids.forEach((id, at) => this.#patch(id, (message) => Object.assign(message, { is_read: true, ...(counts && { read_count: counts[at] }) })));
  }

  /** @param {number} id */
  #delete(id) {
    const conversation = this.#whereIs(id);
    // What stands last now, and what is unread, the service knows.
    this.doubt(conversation?.id);
    for (const thread of this.#threads.values()) thread.remove(id);
  }

  /** @param {Frame} entry `group_changed` */
  #regroup({ conversation_id: id, change, user_id, title }) {
    if (change === 'joined') this.left.delete(id);
    if (change === 'removed' && user_id === this.#me) {
      this.left.add(id);
      this.conversations.delete(id);
      this.#threads.delete(id);
      this.emit('gone', id);
      this.tell();
      return;
    }
    const conversation = this.conversations.get(id);
    if (change === 'titled' && conversation) conversation.title = title;
    else this.doubt(id);
    this.changed(id);
  }

  /** The mailbox is another than it was: nothing that was loaded counts. */
  #reset() {
    this.left.clear();
    this.conversations.clear();
    for (const name of SHELVES) {
      const { isLoaded, isLoading } = this.shelves[name];
      this.shelves[name] = { isLoaded: false, isLoading: false };
      if (isLoaded || isLoading) this.load(name);
    }
    for (const thread of this.#threads.values()) {
      if (thread.isLoaded) thread.load();
      this.doubt(thread.id);
    }
  }

  /** The service is there again: what failed meanwhile comes by itself. */
  #retry() {
    this.drafts.retry();
    for (const name of SHELVES) if (this.shelves[name].error) this.load(name);
    for (const thread of this.#threads.values()) thread.retry();
  }
}
