// The messages of a thread as elements, in chunks: only those that are asked for have any, the others keep their height.

import { make } from '../dom.js';
import { dayKey, dayName } from '../format.js';
import { isUnread } from '../model/thread.js';
import { me } from '../world.js';
import { continues, drawMessage, messageElement } from './message.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {import('../model/thread.js').Thread} Thread
 * @typedef {{element: HTMLElement, messages: Message[], isFilled: boolean}} Chunk
 */

/** Messages in a chunk. */
const CHUNK = 50;
/** How high a message is, as long as it was never drawn, in pixels. */
const GUESS = 64;

export class Chunks {
  list;
  /** Above it stands that what follows is new. @type {number | undefined} */
  firstNew;
  #thread;
  #isGroup;
  /** @type {Chunk[]} */
  #chunks = [];
  /** @type {Map<Element, Chunk>} */
  #byElement = new Map();
  #nearness;

  /** @param {HTMLElement} list @param {Thread} thread @param {boolean} isGroup @param {IntersectionObserver} nearness told which chunks there are */
  constructor(list, thread, isGroup, nearness) {
    this.list = list;
    this.#thread = thread;
    this.#isGroup = isGroup;
    this.#nearness = nearness;
  }

  /** Begins anew, with what is loaded. */
  reset() {
    const { messages } = this.#thread;
    this.#nearness.disconnect();
    this.#byElement.clear();
    this.#chunks = [];
    this.list.replaceChildren();
    this.firstNew = messages.find((message) => isUnread(message, me().id))?.message_id;
    for (let at = 0; at < messages.length; at += CHUNK) this.#insert(messages.slice(at, at + CHUNK), this.#chunks.length);
  }

  /** Nothing is new any more. */
  forgetNew() {
    this.firstNew = undefined;
    this.list.querySelector('.new-divider')?.remove();
  }

  /** @param {number} id @returns {HTMLElement | null} */
  article(id) {
    return this.list.querySelector(`.message[data-id="${id}"]`);
  }

  /** The element of a message, which is made if need be. @param {number} id */
  reveal(id) {
    const chunk = this.#chunks.find(({ messages }) => messages.length > 0 && messages[0].message_id <= id && id <= messages[messages.length - 1].message_id);
    if (chunk) this.#fill(chunk);
    return this.article(id);
  }

  /** The first or the last message. @param {'first' | 'last'} which */
  revealEnd(which) {
    const message = this.#thread.messages.at(which === 'first' ? 0 : -1);
    return message ? this.reveal(message.message_id) : null;
  }

  /** @param {Message[]} messages */
  prepend(messages) {
    const first = this.#chunks[0];
    if (messages.length > 0) this.#fill(this.#insert(messages, 0));
    if (first?.messages.length) this.#join(first.messages[0]);
  }

  /** @param {Message[]} messages */
  append(messages) {
    for (const message of messages) {
      const last = this.#chunks.at(-1);
      const chunk = last && last.messages.length < CHUNK ? last : this.#insert([], this.#chunks.length);
      chunk.messages.push(message);
      if (chunk.isFilled) chunk.element.append(...this.#elements(message));
      else if (chunk.messages.length === 1) this.#fill(chunk);
      this.#join(message);
    }
  }

  /** @param {Message} message */
  redraw(message) {
    const article = this.article(message.message_id);
    if (!article) return;
    const focused = document.activeElement;
    const hadFocus = article.contains(focused);
    const toolbar = article.querySelector('.toolbar');
    const reaction = focused instanceof HTMLElement ? focused.dataset.reaction : undefined;
    drawMessage(article, message, this.#thread, this.#isGroup);
    if (toolbar) article.querySelector('.bubble')?.append(toolbar);
    if (!hadFocus) return;
    const again = reaction === undefined ? focused : [...article.querySelectorAll('button')].find((button) => button.dataset.reaction === reaction);
    const target = again instanceof HTMLElement && article.contains(again) ? again : article;
    // The bar is there only while its message has the focus.
    article.focus({ preventScroll: true });
    target.focus({ preventScroll: true });
  }

  /** @param {Message} message that the thread has no more */
  remove(message) {
    const { message_id: id } = message;
    const chunk = this.#chunks.find(({ messages }) => messages.includes(message));
    const article = this.article(id);
    chunk?.messages.splice(chunk.messages.indexOf(message), 1);
    if (article?.contains(document.activeElement)) this.#neighbour(article)?.focus({ preventScroll: true });
    if (article) for (const divider of this.#dividers(article)) divider.remove();
    article?.remove();
    const { messages } = this.#thread;
    const before = messages.findLast(({ message_id }) => message_id < id);
    const after = messages.find(({ message_id }) => message_id > id);
    if (this.firstNew === id) this.firstNew = after?.message_id;
    if (before) this.#join(before);
    if (after) this.#join(after);
  }

  /** Makes the elements of chunks that came near, and drops those of chunks that went. @param {IntersectionObserverEntry[]} seen */
  fillNear(seen) {
    for (const { target, isIntersecting } of seen) {
      const chunk = this.#byElement.get(target);
      if (chunk && isIntersecting) this.#fill(chunk);
      else if (chunk) this.#empty(chunk);
    }
  }

  /** @param {Message[]} messages @param {number} at */
  #insert(messages, at) {
    const element = make('div', { className: 'chunk' });
    element.style.height = `${messages.length * GUESS}px`;
    const chunk = { element, messages, isFilled: false };
    this.#chunks.splice(at, 0, chunk);
    this.#byElement.set(element, chunk);
    this.list.insertBefore(element, this.list.children[at] ?? null);
    this.#nearness.observe(element);
    return chunk;
  }

  /** @param {Chunk} chunk */
  #fill(chunk) {
    if (chunk.isFilled) return;
    chunk.isFilled = true;
    chunk.element.style.height = '';
    chunk.element.append(...chunk.messages.flatMap((message) => this.#elements(message)));
  }

  /** @param {Chunk} chunk */
  #empty(chunk) {
    if (!chunk.isFilled || chunk.element.contains(document.activeElement)) return;
    chunk.isFilled = false;
    chunk.element.style.height = `${chunk.element.getBoundingClientRect().height}px`;
    chunk.element.replaceChildren();
  }

  /** What takes the focus when a message goes. @param {HTMLElement} article */
  #neighbour(article) {
    const all = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll('.message')]);
    const at = all.indexOf(article);
    return all[at + 1] ?? all[at - 1] ?? this.list.closest('.scroller');
  }

  /** A message with what stands above it. @param {Message} message @returns {HTMLElement[]} */
  #elements(message) {
    const article = messageElement(message, this.#thread, this.#isGroup);
    const [before, after] = this.#around(message);
    this.#shape(article, message, before, after);
    return [...this.#above(message, before), article];
  }

  /** @param {Message} message @param {Message | undefined} before */
  #above({ message_id, created_at }, before) {
    const divider = (/** @type {string} */ className, /** @type {string} */ text) => make('p', { className, data: { of: message_id } }, make('span', {}, text));
    const isNewDay = !before || dayKey(before.created_at) !== dayKey(created_at);
    return [...(isNewDay ? [divider('day', dayName(created_at))] : []), ...(this.firstNew === message_id ? [divider('new-divider', 'New')] : [])];
  }

  /** @param {HTMLElement} article */
  #dividers(article) {
    return this.list.querySelectorAll(`[data-of="${article.dataset.id}"]`);
  }

  /** Brings what shows the place of a message among others in line with them, and that of the one before it. @param {Message} message */
  #join(message) {
    const [before, after] = this.#around(message);
    const article = this.article(message.message_id);
    if (article) {
      this.#shape(article, message, before, after);
      for (const divider of this.#dividers(article)) divider.remove();
      article.before(...this.#above(message, before));
    }
    if (before) this.article(before.message_id)?.classList.toggle('last', !continues(before, message));
  }

  /** @param {HTMLElement} article @param {Message} message @param {Message | undefined} before @param {Message | undefined} after */
  #shape(article, message, before, after) {
    article.classList.toggle('first', !continues(before, message) || this.firstNew === message.message_id);
    article.classList.toggle('last', !continues(message, after));
  }

  /** The messages before and after one. @param {Message} message */
  #around({ message_id: id }) {
    const { messages } = this.#thread;
    let [low, high] = [0, messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (messages[middle].message_id < id) low = middle + 1;
      else high = middle;
    }
    return [messages[low - 1], messages[low + 1]];
  }
}
