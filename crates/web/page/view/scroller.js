// Where in a thread somebody is: what is looked at stays where it is, whatever comes or goes above and below; pages are loaded before
// they are reached.

import { clone, find, reconcile } from '../dom.js';
import { count } from '../format.js';
import { isUnread } from '../model/thread.js';
import { me, switchboard } from '../world.js';
import { Chunks } from './chunks.js';
import { tell } from './dialogs.js';
import { drawOutgoing, outgoingElement } from './outgoing.js';
import { Reading, isAttended } from './reading.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {import('../../client/switchboard.js').Outgoing} Outgoing
 * @typedef {import('../model/thread.js').Thread} Thread
 */

/** The end counts as reached from here, in pixels. */
const NEAR = 32;
/** Chunks within so much of the view have elements, and pages are asked for from so far away, in heights of it. */
const AHEAD = 1.5;

export class Scroller extends HTMLElement {
  /** Whether the newest message is in view, and shall stay so. */
  #isAtEnd = true;
  /** @type {Thread} */
  #thread = /** @type {any} */ (undefined);
  /** @type {Chunks} */
  #chunks = /** @type {any} */ (undefined);
  /** Where to begin. @type {number | undefined} */
  #goal;
  /** Received while something else was looked at. */
  #fresh = 0;
  /** @type {Reading} */
  #reading = /** @type {any} */ (undefined);
  #isFramed = false;
  #stop = new AbortController();
  /** @type {HTMLElement} */
  #view = this;
  #sizes = new ResizeObserver(() => this.#resized());

  /** Shows a thread from its end, from what is new, or from one message; once. @param {Thread} thread @param {boolean} isGroup @param {number} [at] */
  show(thread, isGroup, at) {
    this.replaceChildren(clone('scroller-template'));
    this.#view = find(this, '.scroller');
    const seen = (/** @type {IntersectionObserverEntry[]} */ entries) => this.#keep(() => this.#chunks.fillNear(entries));
    const nearness = new IntersectionObserver(seen, { root: this.#view, rootMargin: `${AHEAD * 100}% 0px` });
    this.#thread = thread;
    this.#reading = new Reading(thread);
    this.#chunks = new Chunks(find(this, '.chunks'), thread, isGroup, nearness);
    const { signal } = this.#stop;
    this.#view.addEventListener('scroll', () => this.#soon(), { passive: true, signal });
    this.#view.addEventListener('keydown', (event) => this.#key(event), { signal });
    find(this, '.jump').addEventListener('click', () => this.toEnd(), { signal });
    addEventListener('focus', () => this.#soon(), { signal });
    document.addEventListener('visibilitychange', () => this.#soon(), { signal });
    for (const element of [this.#view, find(this, '.track')]) this.#sizes.observe(element);
    const offs = [thread.on('change', (change) => this.#change(change)), switchboard.on('new_message', ({ data }) => this.#count(data))];
    signal.addEventListener('abort', () => [...offs, () => nearness.disconnect(), () => this.#sizes.disconnect()].forEach((off) => off()));
    this.open(at);
  }

  /** Leads to the end, to what is new, or to one message. @param {number} [at] */
  open(at) {
    this.#goal = at;
    const isHere = at === undefined ? this.#thread.hasLatest : this.#thread.get(at) !== undefined;
    if (this.#thread.isLoaded && isHere) this.#change({ kind: 'reset', messages: [] });
    else this.#thread.load(at);
    this.#drawState();
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  /** Leads to a message of this thread, and loads it if need be. @param {number} id */
  goTo(id) {
    const article = this.#thread.get(id) ? this.#chunks.reveal(id) : null;
    if (!article) {
      this.#goal = id;
      return void this.#thread.load(id);
    }
    this.#isAtEnd = false;
    article.scrollIntoView({ block: 'center' });
    article.classList.remove('found');
    // Begins the animation anew if it is the same message again.
    void article.offsetWidth;
    article.classList.add('found');
    article.focus({ preventScroll: true });
    this.#soon();
  }

  /** Leads to the newest message. */
  toEnd() {
    this.#fresh = 0;
    this.#chunks.forgetNew();
    if (!this.#thread.hasLatest) return void this.#thread.load();
    this.#chunks.revealEnd('last');
    this.#stick();
    this.#soon();
  }

  /** Shows what is on its way. @param {Outgoing[]} items */
  set outgoing(items) {
    this.#keep(() => reconcile(find(this, '.outgoing-list'), items, ({ id }) => id, outgoingElement, drawOutgoing));
  }

  /** Whether the newest message is in view. */
  get isAtEnd() {
    return this.#isAtEnd;
  }

  /** The last message that this user sent, among those that are loaded. @returns {Message | undefined} */
  get lastOwn() {
    return this.#thread.messages.findLast(({ sender_id }) => sender_id === me().id);
  }

  /** The message that an element belongs to. @param {EventTarget | null} target */
  messageAt(target) {
    const article = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest('.message[data-id]')) : null;
    const message = article ? this.#thread.get(Number(article.dataset.id)) : undefined;
    return article && message ? { article, message } : undefined;
  }

  /** @param {import('../model/thread.js').Change} change */
  #change({ kind, messages }) {
    this.#keep(() => this.#drawState());
    if (kind === 'reset') this.#begin();
    else if (kind === 'older') this.#keep(() => this.#chunks.prepend(messages));
    else if (kind === 'newer') this.#keep(() => this.#chunks.append(messages));
    else if (kind === 'changed') this.#keep(() => this.#chunks.redraw(messages[0]));
    else if (kind === 'removed') this.#keep(() => this.#chunks.remove(messages[0]));
    else if (kind === 'added') {
      // Who writes has seen what was new.
      if (messages[0].sender_id === me().id) this.#chunks.forgetNew();
      else if (!isAttended()) return this.#addUnseen(messages);
      this.#keep(() => this.#chunks.append(messages));
    }
    this.#soon();
  }

  /** Messages that come while nobody looks stand below a line, which does not leave the view. @param {Message[]} messages */
  #addUnseen(messages) {
    const wasAtEnd = this.#isAtEnd;
    this.#isAtEnd = false;
    this.#keep(() => {
      const first = this.#thread.get(this.#chunks.firstNew ?? 0);
      // What was read by now is not new any more.
      if (!first || !isUnread(first, me().id)) this.#chunks.forgetNew();
      this.#chunks.firstNew ??= messages[0].message_id;
      this.#chunks.append(messages);
    });
    if (wasAtEnd) this.#showNew();
    this.#soon();
  }

  /** Goes to the end, but not past what is new. */
  #showNew() {
    this.#stick();
    const divider = this.querySelector('.new-divider');
    if (!divider) return;
    const below = divider.getBoundingClientRect().top - this.#view.getBoundingClientRect().top - this.#view.clientHeight / 4;
    this.#view.scrollTop += Math.min(0, below);
    this.#isAtEnd = this.#reachesEnd;
  }

  /** Draws a thread that was loaded. */
  #begin() {
    this.#chunks.reset();
    this.#fresh = 0;
    const goal = this.#goal;
    this.#goal = undefined;
    if (goal !== undefined && this.#thread.get(goal)) return this.goTo(goal);
    if (goal !== undefined) tell('That message is not there any more.');
    const { firstNew } = this.#chunks;
    this.#chunks.revealEnd('last');
    if (firstNew !== undefined) this.#chunks.reveal(firstNew);
    this.#showNew();
  }

  /** Changes what there is without moving what is looked at. @param {() => void} change */
  #keep(change) {
    const anchor = this.#isAtEnd ? undefined : this.#anchor();
    const top = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (this.#isAtEnd) this.#stick();
    else if (anchor?.isConnected) this.#view.scrollTop += anchor.getBoundingClientRect().top - top;
  }

  /** The first message in view, which outlasts the dividers beside it; where none is drawn, the chunk. */
  #anchor() {
    const { top } = this.#view.getBoundingClientRect();
    const isBelow = (/** @type {Element} */ element) => element.getBoundingClientRect().bottom > top + 1;
    const chunk = [...this.#chunks.list.children].find(isBelow);
    return chunk && ([...chunk.querySelectorAll('.message')].find(isBelow) ?? chunk);
  }

  #stick() {
    this.#isAtEnd = true;
    this.#view.scrollTop = this.#view.scrollHeight;
  }

  #resized() {
    if (this.#isAtEnd) this.#stick();
    this.#soon();
  }

  get #reachesEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#view;
    return this.#thread.hasLatest && scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** Looks where this is, once a frame. */
  #soon() {
    if (this.#isFramed) return;
    this.#isFramed = true;
    requestAnimationFrame(() => {
      this.#isFramed = false;
      if (this.isConnected) this.#look();
    });
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    this.#isAtEnd = this.#reachesEnd;
    if (this.#isAtEnd) this.#fresh = 0;
    this.#drawJump();
    this.#reading.mark(this.#view, () => this.#soon());
    if (!this.#thread.isLoaded || this.#thread.loading || this.#thread.error) return;
    const isNearTop = scrollTop < clientHeight * AHEAD;
    const isNearEnd = scrollHeight - scrollTop - clientHeight < clientHeight * AHEAD;
    if (isNearTop && !this.#thread.hasOldest) this.#thread.loadOlder();
    else if (isNearEnd && !this.#thread.hasLatest) this.#thread.loadNewer();
  }

  /** @param {Message} message that was received */
  #count({ conversation_id }) {
    if (conversation_id !== this.#thread.id || this.#isAtEnd) return;
    this.#fresh += 1;
    this.#drawJump();
  }

  #drawJump() {
    const jump = find(this, '.jump');
    const badge = find(jump, '.badge');
    jump.hidden = this.#isAtEnd || !this.#thread.isLoaded;
    jump.ariaLabel = this.#fresh ? `Jump to latest, ${this.#fresh} new` : 'Jump to latest';
    badge.hidden = this.#fresh === 0;
    badge.textContent = String(this.#fresh);
  }

  #drawState() {
    const { isLoaded, loading, error, hasOldest, messages } = this.#thread;
    const older = find(this, '.older');
    this.#view.ariaBusy = String(loading === 'all');
    const again = document.createElement('button');
    again.textContent = 'Try again';
    again.onclick = () => this.#thread.retry();
    if (error) older.replaceChildren(`Messages could not be loaded: ${error.message}. `, again);
    else if (loading === 'all' || loading === 'older') older.textContent = 'Loading messages…';
    else if (isLoaded && messages.length === 0) older.textContent = 'No messages yet. Say hello.';
    else older.textContent = isLoaded && hasOldest ? `The beginning · ${count(messages.length, 'message')}` : '';
  }

  /** Arrow keys go from message to message. @param {KeyboardEvent} event */
  #key(event) {
    if (!['ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    const inMessage = event.target instanceof Element ? event.target.closest('.message') : null;
    const all = /** @type {HTMLElement[]} */ ([...this.#view.querySelectorAll('.message')]);
    const step = event.key === 'ArrowUp' ? -1 : 1;
    const at = inMessage ? all.indexOf(/** @type {HTMLElement} */ (inMessage)) : all.length;
    let next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    if (event.key === 'Home') next = this.#chunks.revealEnd('first') ?? next;
    if (event.key === 'End') next = all[all.length - 1];
    if (event.key === 'End') this.toEnd();
    if (!next) return;
    event.preventDefault();
    this.#isAtEnd = false;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  }
}

customElements.define('sb-scroller', Scroller);
