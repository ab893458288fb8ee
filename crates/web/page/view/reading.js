// What was read: marked up to the last message that was in view to its end.

import { isUnread } from '../model/thread.js';
import { me, switchboard } from '../world.js';

/** Between two marks, in milliseconds. */
const READ_MS = 400;
/** A message is seen to its end from here, in pixels. */
const NEAR = 32;

/** Whether somebody looks at this page, as far as can be told. */
export const isAttended = () => !document.hidden && document.hasFocus();

export class Reading {
  #thread;
  #upTo = 0;
  #next = 0;

  /** @param {import('../model/thread.js').Thread} thread */
  constructor(thread) {
    this.#thread = thread;
  }

  /** Marks what is in view. @param {HTMLElement} view @param {() => void} later asks for it again, where it is too soon */
  mark(view, later) {
    if (!isAttended()) return;
    const { bottom } = view.getBoundingClientRect();
    const articles = /** @type {HTMLElement[]} */ ([...view.querySelectorAll('.message[data-id]:not(.own)')]);
    const last = articles.findLast((article) => article.getBoundingClientRect().bottom <= bottom + NEAR);
    const message = this.#thread.get(Number(last?.dataset.id));
    if (!message || !isUnread(message, me().id) || message.message_id <= this.#upTo) return;
    const wait = this.#next - Date.now();
    if (wait > 0) return void setTimeout(later, wait);
    this.#next = Date.now() + READ_MS;
    this.#upTo = message.message_id;
    switchboard.markRead({ conversation_id: this.#thread.id, up_to: message.message_id }).catch(() => {
      this.#upTo = 0;
    });
  }
}
