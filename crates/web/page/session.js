// One user on the page, from logging in to logging out or to the end of the session by other means: joins
// mailbox, outbox, feed and composer, and has them drawn.

import * as api from './api.js';
import { Composer } from './composer.js';
import { Feed } from './feed.js';
import { Mailbox } from './mailbox.js';
import { Outbox } from './outbox.js';
import * as view from './view.js';

const { byId, show } = view;
const LINK = { connecting: 'Connecting…', connected: 'Connected', waiting: 'Not connected', stopped: 'Disconnected' };

export class Session {
  #end = new AbortController();
  #willDraw = false;

  /**
   * @param {api.Me} me
   * @param {object} listener
   * @param {() => void} listener.ended the session was ended, not by this page
   * @param {() => void} listener.replaced the session is somebody else's now
   */
  constructor(me, listener) {
    this.me = me;
    const report = (/** @type {Error} */ error) => this.#report(error);
    const changed = () => this.#draw();
    this.listener = listener;
    this.mailbox = new Mailbox(me, (attempt) => this.#persist(attempt), report, changed);
    this.outbox = new Outbox({ changed, sent: (draft, message) => this.#sent(draft, message), loggedOut: report });
    this.composer = new Composer({
      findUsers: async (query, limit) => (await this.#persist(() => api.users(query, limit))).users,
      send: (draft) => this.#send(draft),
      report,
    });
    this.feed = new Feed(me.cursor, me.epoch, {
      entry: (frame) => this.#apply(frame),
      welcome: (frame) => frame.user.id !== me.id && listener.replaced(),
      unread: (unread) => {
        this.mailbox.unread = unread;
        changed();
      },
      reset: () => this.#attempt(this.mailbox.reset()),
      doubt: () => api.me().catch((error) => error.status === 401 && listener.ended()),
      ended: () => listener.ended(),
      state: (state) => this.#say(state),
    });
  }

  start() {
    byId('own-name', HTMLElement).textContent = view.nameOf(this.me);
    this.#attempt(this.mailbox.reload());
    this.feed.connect();
    this.#draw();
  }

  /** Nothing of this user stays on the page. */
  stop() {
    this.#end.abort();
    this.feed.stop();
    this.outbox.stop();
    this.composer.stop();
    show('news', '');
    view.drawUnread(0);
    for (const id of ['conversations', 'messages', 'outbox', 'users', 'own-name', 'thread-heading']) {
      byId(id, HTMLElement).replaceChildren();
    }
  }

  /** @param {{id: number, user: api.User}} conversation */
  open({ id, user }) {
    this.composer.address(user);
    this.#attempt(this.mailbox.open(id, user));
    byId('mail', HTMLElement).dataset.shows = 'thread';
    byId('thread-heading', HTMLElement).focus();
  }

  /** Begins a message to somebody who may not be in the list. */
  compose() {
    this.mailbox.close();
    this.composer.address();
    byId('mail', HTMLElement).dataset.shows = 'thread';
    this.composer.focus();
  }

  loadOlder() {
    this.#attempt(this.mailbox.loadOlder());
  }

  loadMore() {
    this.#attempt(this.mailbox.loadMore());
  }

  /** @param {import('./outbox.js').Draft} draft */
  #send(draft) {
    show('notice', '');
    this.outbox.add(draft);
  }

  /** The first message to somebody opens the conversation, if nothing else was begun meanwhile. @type {(draft: import('./outbox.js').Draft, message: api.Message) => void} */
  #sent({ recipient }, message) {
    this.mailbox.apply({ type: 'message_sent', data: message });
    if (this.mailbox.thread || !this.composer.isEmpty) return;
    this.open({ id: message.conversation_id, user: recipient });
    this.composer.focus();
  }

  /** @param {import('./feed.js').Frame} frame */
  #apply(frame) {
    this.mailbox.apply(frame);
    if (frame.type === 'message_sent') this.outbox.settle(frame.client_message_id, frame.data);
    if (frame.type === 'new_message' && !frame.data.is_read) show('news', `New message from ${frame.data.sender}`);
  }

  /** @param {api.Message} message */
  async #remove({ message_id, sender_id }) {
    const isOwn = sender_id === this.me.id;
    const question = isOwn ? 'Delete this message for both of you?' : 'Delete this message from your list?';
    if (!(await view.confirm(question))) return;
    await this.#persist(() => api.remove(message_id));
    this.mailbox.apply({ type: 'message_deleted', message_id });
  }

  /** @param {api.Message} message */
  async #read({ message_id }) {
    await this.#persist(() => api.markRead(message_id));
    this.mailbox.apply({ type: 'message_read', message_id });
  }

  /** @template T @param {() => Promise<T>} attempt @returns {Promise<T>} */
  #persist(attempt) {
    return api.persist(attempt, this.#end.signal);
  }

  /** What fails is said to the user. @param {Promise<unknown>} work */
  #attempt(work) {
    work.catch((error) => this.#report(error));
  }

  /** @param {Error} error */
  #report(error) {
    if (this.#end.signal.aborted) return;
    if (error instanceof api.Refusal && error.status === 401) this.listener.ended();
    else show('notice', `That did not work: ${error.message}.`);
  }

  /** @param {keyof typeof LINK} state */
  #say(state) {
    const link = byId('link', HTMLElement);
    link.dataset.state = state;
    link.textContent = LINK[state];
    byId('connect', HTMLElement).hidden = state !== 'stopped';
  }

  /** Draws soon, once for all that changed until then. */
  #draw() {
    if (this.#willDraw) return;
    this.#willDraw = true;
    setTimeout(() => {
      this.#willDraw = false;
      if (this.#end.signal.aborted) return;
      view.drawUnread(this.mailbox.unread);
      view.drawConversations(this.mailbox, (conversation) => this.open(conversation));
      view.drawThread(this.mailbox, this.me.id, {
        read: (message) => this.#attempt(this.#read(message)),
        remove: (message) => this.#attempt(this.#remove(message)),
      });
      view.drawOutbox(this.outbox);
    });
  }
}
