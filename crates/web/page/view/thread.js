// A conversation that is open: its head, its messages, and where one writes.

import { Refusal } from '../../client/switchboard.js';
import { clone, find, make } from '../dom.js';
import { count, presenceText } from '../format.js';
import { titleOf } from '../model/conversations.js';
import { folderAddress, go } from '../places.js';
import { mailbox, me, people, switchboard } from '../world.js';
import { Actions } from './actions.js';
import { openDetails } from './details.js';
import { receiveFiles } from './drop.js';
import { face, putFace } from './face.js';
import { reasonOf, tell } from './dialogs.js';

/**
 * @typedef {import('./composer.js').Composer} Composer
 * @typedef {import('./composer.js').Draft} Draft
 * @typedef {import('./scroller.js').Scroller} Scroller
 * @typedef {import('../model/conversations.js').Conversation} Conversation
 */

export class ThreadView extends HTMLElement {
  /** The conversation that is shown. */
  conversation = 0;
  #stop = new AbortController();
  /** Why it could not be loaded. */
  #why = '';
  /** The message that was asked for. @type {number | undefined} */
  #at;

  /** @param {number} id @param {number} [at] a message @param {import('../places.js').Folder} [folder] where Back leads */
  async show(id, at, folder = 'inbox') {
    this.conversation = id;
    this.#at = at;
    this.dataset.id = String(id);
    this.replaceChildren(clone('thread-template'));
    const back = /** @type {HTMLAnchorElement} */ (find(this, '.back'));
    back.href = folderAddress(folder);
    find(this, '[data-does=details]').onclick = () => openDetails(id);
    const { signal } = this.#stop;
    const offs = [
      mailbox.on('conversation', (changed) => changed === id && this.#draw()),
      mailbox.on('gone', (gone) => gone === id && this.#leave('You are not a member of this group any more.')),
      people.on('presence', () => this.#drawPresence()),
      people.on('typing', (where) => where === id && this.#drawPresence()),
      people.on('names', () => this.#draw()),
      switchboard.on('outbox', () => this.#drawOutgoing()),
      switchboard.on('state', () => this.#drawOutgoing()),
    ];
    signal.addEventListener('abort', () => offs.forEach((off) => off()));
    const isThere = await this.#fetch(id);
    if (signal.aborted) return;
    if (!isThere) return this.#offerAgain(id, folder);
    const conversation = /** @type {Conversation} */ (mailbox.conversations.get(id));
    this.#begin(conversation);
  }

  /** Leads to a message of this conversation. @param {number | undefined} message */
  goTo(message) {
    this.#at = message;
    if (!this.querySelector('sb-scroller')?.firstElementChild) return;
    if (message === undefined) this.#scroller.toEnd();
    else this.#scroller.goTo(message);
  }

  disconnectedCallback() {
    this.#saveDraft();
    people.watch('thread', []);
    switchboard.typing({ conversation_id: this.conversation }, false);
    this.#stop.abort();
  }

  /** @returns {Scroller} */
  get #scroller() {
    return find(this, 'sb-scroller');
  }

  /** @returns {Composer} */
  get #composer() {
    return find(this, 'sb-composer');
  }

  /** What is to be known before anything is shown. @param {number} id */
  async #fetch(id) {
    const known = mailbox.conversations.get(id);
    this.#draw();
    // Who is in a group is asked for in any case; a conversation of two may be shown meanwhile.
    const fetched = mailbox.fetch(id).then(
      () => true,
      (error) => {
        if (error.code === 'not_found') this.#leave('There is no such conversation.');
        else if (!known) this.#why = reasonOf(error);
        else mailbox.doubt(id, 5_000);
        return error.code !== 'not_found' && known !== undefined;
      },
    );
    return known ? true : fetched;
  }

  /** It could not be loaded. @param {number} id @param {import('../places.js').Folder} folder */
  #offerAgain(id, folder) {
    if (this.#why === '') return;
    const button = make('button', { type: 'button' }, 'Try again');
    const note = make('div', { className: 'note' }, make('p', {}, `This could not be loaded: ${this.#why}`), button);
    this.#scroller.replaceWith(note);
    find(this, 'sb-composer').remove();
    const again = () => {
      const fresh = new ThreadView();
      this.replaceWith(fresh);
      fresh.show(id, this.#at, folder);
    };
    button.onclick = again;
    const off = switchboard.on('state', ({ name }) => (name === 'live' || name === 'polling') && this.isConnected && again());
    this.#stop.signal.addEventListener('abort', off);
  }

  /** @param {Conversation} conversation */
  #begin(conversation) {
    const at = this.#at;
    const { id, kind, draft } = conversation;
    this.#draw();
    this.#scroller.show(mailbox.thread(id), kind === 'group', at);
    this.#composer.open(`conversation ${id}`, draft);
    new Actions(this.#scroller, { reply: (message) => this.#composer.reply(message), edit: (message) => this.#composer.edit(message) });
    const { signal } = this.#stop;
    const composer = this.#composer;
    composer.addEventListener('send', (event) => this.#send(/** @type {CustomEvent<Draft>} */ (event).detail), { signal });
    composer.addEventListener('typing', (event) => switchboard.typing({ conversation_id: id }, /** @type {CustomEvent<boolean>} */ (event).detail), { signal });
    composer.addEventListener('edit-last', () => this.#scroller.lastOwn && composer.edit(this.#scroller.lastOwn), { signal });
    addEventListener('pagehide', () => this.#saveDraft(), { signal });
    document.addEventListener('visibilitychange', () => document.hidden && this.#saveDraft(), { signal });
    receiveFiles(this, (files) => composer.attach(files));
    this.#drawOutgoing();
    // A finger would be shown a keyboard that nobody asked for.
    if (at !== undefined) return;
    if (matchMedia('(hover: hover)').matches) composer.focusText();
    else find(this, 'h2').focus();
  }

  /** @param {Draft} draft */
  #send({ content, subject, files, about }) {
    const { members = [] } = mailbox.conversations.get(this.conversation) ?? {};
    const isNamed = (/** @type {import('../model/conversations.js').Member} */ { user }) => user.id !== me().id && [user.username, user.full_name].some((name) => mentions(content, name));
    const mention_ids = members.length > 2 ? members.filter(isNamed).map(({ user }) => user.id) : [];
    const reply_to_id = about?.message.message_id;
    const composer = this.#composer;
    const isOut = ['closed', 'signed out', 'stopped'].includes(switchboard.state.name);
    const thread = mailbox.thread(this.conversation);
    // A poll brings it only later.
    const show = (/** @type {{message_id: number}} */ { message_id }) => void (switchboard.state.name === 'polling' && !thread.get(message_id) && this.isConnected && this.#scroller.isAtEnd && thread.load());
    switchboard.send({ conversation_id: this.conversation, content, subject, files, reply_to_id, mention_ids }).then(show, (error) => {
      // What was refused stands among the messages; what the browser could not even keep does not.
      if (error instanceof Refusal && !isOut) return;
      tell(`Not sent: ${reasonOf(error)}`);
      composer.restore({ content, subject, files, about });
    });
    composer.clear();
    this.#saveDraft();
    this.#scroller.toEnd();
    this.dispatchEvent(new CustomEvent('sent', { bubbles: true }));
  }

  /** What is written here is there on the other devices too. */
  #saveDraft() {
    const composer = /** @type {Composer | null} */ (this.querySelector('sb-composer'));
    const news = composer?.firstElementChild ? composer.news : undefined;
    if (news !== undefined) mailbox.saveDraft(this.conversation, news);
  }

  #draw() {
    const conversation = mailbox.conversations.get(this.conversation);
    if (!conversation) return;
    const name = titleOf(conversation);
    find(this, 'h2').textContent = name;
    // Names that people read are free to choose, and not unique; these are.
    find(this, '.username').textContent = conversation.user?.full_name ? `@${conversation.user.username}` : '';
    this.ariaLabel = name;
    const { user, draft } = conversation;
    putFace(this, face(user?.id ?? conversation.id, name, people.presenceOf(user?.id)?.status));
    if (this.querySelector('sb-scroller')?.firstElementChild) this.#composer.adopt(draft);
    const members = conversation.members?.map((member) => member.user.id) ?? (user ? [user.id] : []);
    people.watch('thread', members.filter((id) => id !== me().id));
    this.#drawPresence();
  }

  #drawPresence() {
    const conversation = mailbox.conversations.get(this.conversation);
    if (!conversation) return;
    const line = find(this, '.presence');
    const typing = people.typingIn(this.conversation);
    const presence = people.presenceOf(conversation.user?.id);
    line.classList.toggle('typing', typing.length > 0);
    if (typing.length > 0) line.textContent = conversation.kind === 'direct' ? 'typing…' : `${names(typing)} typing…`;
    else if (conversation.kind === 'group') line.textContent = this.#membership(conversation);
    else if (conversation.user?.id === me().id) line.textContent = 'Notes to yourself';
    else line.textContent = presenceText(presence);
    const shown = this.querySelector('.bar .face');
    if (shown instanceof HTMLElement) shown.dataset.status = presence?.status ?? '';
  }

  /** @param {Conversation} conversation */
  #membership({ member_count = 0, members = [] }) {
    const there = members.filter(({ user }) => user.id !== me().id && people.presenceOf(user.id)?.status === 'online').length;
    return `${count(member_count, 'member')}${there > 0 ? `, ${there} online` : ''}`;
  }

  #drawOutgoing() {
    if (!this.querySelector('sb-scroller')?.firstElementChild) return;
    const { user } = mailbox.conversations.get(this.conversation) ?? {};
    const isHere = (/** @type {any} */ item) => item.conversation_id === this.conversation || (user && item.recipient_id === user.id);
    this.#scroller.outgoing = switchboard.outbox.filter(isHere);
  }

  /** @param {string} why */
  #leave(why) {
    if (!this.isConnected) return;
    tell(why);
    go(folderAddress('inbox'), { replaces: true });
  }
}

/** Whether a text names somebody, and not somebody whose name begins like this. @param {string} text @param {string} name */
function mentions(text, name) {
  const parts = name === '' ? [] : text.split(`@${name}`).slice(1);
  return parts.some((after) => !/^[\p{L}\p{N}_]/u.test(after));
}

/** @param {number[]} ids */
function names(ids) {
  const known = ids.slice(0, 2).map((id) => people.nameOf(id));
  return ids.length > 2 ? `${known[0]} and ${ids.length - 1} others are` : `${known.join(' and ')} ${ids.length > 1 ? 'are' : 'is'}`;
}

customElements.define('sb-thread', ThreadView);
