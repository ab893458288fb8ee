// What can be done with a message: one bar, which goes to the message that is pointed at or has the focus.

import { byId, iconButton, make, moveFocus } from '../dom.js';
import { fullTime, subjectOf } from '../format.js';
import { me, switchboard } from '../world.js';
import { attempt, confirm, openSheet, tell } from './dialogs.js';
import { text } from './message.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {import('./scroller.js').Scroller} Scroller
 *
 * @typedef {object} Writer what writes an answer, or a text anew
 * @property {(message: Message) => void} reply
 * @property {(message: Message) => void} edit
 */

const REACTIONS = [
  ['👍', 'Thumbs up'], ['❤️', 'Heart'], ['😂', 'Laughing'], ['🎉', 'Celebration'], ['😮', 'Surprised'], ['😢', 'Sad'],
  ['🙏', 'Thanks'], ['👀', 'Looking'], ['✅', 'Done'], ['🔥', 'Fire'], ['👏', 'Applause'], ['🤔', 'Thinking'],
];

export class Actions {
  #scroller;
  #bar = make('div', { className: 'toolbar', role: 'toolbar', ariaLabel: 'Actions' });
  #edit;
  /** @type {{article: HTMLElement, message: Message} | undefined} */
  #at;

  /** @param {Scroller} scroller @param {Writer} writer */
  constructor(scroller, writer) {
    this.#scroller = scroller;
    this.#edit = iconButton('edit', 'Edit', () => this.#at && writer.edit(this.#at.message));
    this.#bar.append(
      iconButton('react', 'React', () => this.#choose()),
      iconButton('reply', 'Reply', () => this.#at && writer.reply(this.#at.message)),
      this.#edit,
      // There is a clipboard only over TLS.
      ...(navigator.clipboard ? [iconButton('copy', 'Copy text', () => this.#copy())] : []),
      iconButton('delete', 'Delete', () => this.#delete()),
    );
    for (const event of ['pointerover', 'focusin']) scroller.addEventListener(event, ({ target, type }) => this.#move(target, type === 'focusin'));
    scroller.addEventListener('click', (event) => this.#click(event));
  }

  /** @param {EventTarget | null} target @param {boolean} isFocus */
  #move(target, isFocus) {
    const found = this.#scroller.messageAt(target);
    const isUsed = this.#bar.contains(document.activeElement) || byId('reactions').matches(':popover-open');
    if (!found || found.article === this.#at?.article && this.#bar.isConnected || (isUsed && !isFocus)) return;
    this.#at = found;
    this.#edit.hidden = found.message.sender_id !== me().id;
    found.article.querySelector('.bubble')?.append(this.#bar);
  }

  /** @param {MouseEvent} event */
  #click({ target }) {
    const found = this.#scroller.messageAt(target);
    const button = target instanceof Element ? target.closest('button') : null;
    if (!found || !button) return;
    const { reaction, to } = button.dataset;
    if (reaction !== undefined) this.#react(found.message, reaction);
    else if (to !== undefined) this.#scroller.goTo(Number(to));
    else if (button.classList.contains('edited')) attempt(() => showVersions(found.message));
  }

  #choose() {
    const at = this.#at;
    const palette = byId('reactions');
    if (!at) return;
    const buttons = REACTIONS.map(([reaction, label]) => {
      const button = make('button', { type: 'button', ariaLabel: label, title: label }, reaction);
      button.addEventListener('click', () => {
        palette.hidePopover();
        this.#react(at.message, reaction);
      });
      return button;
    });
    palette.replaceChildren(...buttons);
    palette.showPopover();
    place(palette, this.#bar);
    palette.onkeydown = (event) => moveFocus(palette, 'button', event);
    // That it opened is told later, perhaps after this: it is its closing that gives the focus back.
    palette.ontoggle = (event) => {
      const { activeElement: focused } = document;
      const isLost = focused === document.body || at.article.contains(focused) || palette.contains(focused);
      if (/** @type {ToggleEvent} */ (event).newState === 'closed' && isLost && at.article.isConnected) at.article.focus({ preventScroll: true });
    };
    buttons[0].focus();
  }

  /** @param {Message} message @param {string} reaction */
  #react({ message_id, reactions = [] }, reaction) {
    const isSet = reactions.some((/** @type {{reaction: string, is_own: boolean}} */ other) => other.reaction === reaction && other.is_own);
    const path = `/messages/${message_id}/reactions/${encodeURIComponent(reaction)}`;
    attempt(() => switchboard.request(isSet ? 'DELETE' : 'PUT', path));
  }

  async #copy() {
    const text = this.#at?.message.content ?? '';
    if (await attempt(() => navigator.clipboard.writeText(text))) tell('Copied.');
  }

  async #delete() {
    if (!this.#at) return;
    const { article, message } = this.#at;
    const isOwn = message.sender_id === me().id;
    const consequence = isOwn ? 'It goes for everybody in the conversation, with its files.' : 'It goes from your own lists. Others keep it.';
    const isMeant = await confirm('Delete this message?', { consequence });
    if (article.isConnected) article.focus({ preventScroll: true });
    if (isMeant) attempt(() => switchboard.request('DELETE', `/messages/${message.message_id}`));
  }
}

/** Puts a popover beside an element, within the window. @param {HTMLElement} popover @param {HTMLElement} anchor */
function place(popover, anchor) {
  const { left, top, bottom } = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = popover;
  const y = top - height - 8 > 0 ? top - height - 8 : bottom + 8;
  popover.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  popover.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8))}px`;
}

/** @param {Message} message */
async function showVersions({ message_id }) {
  const { versions } = await switchboard.request('GET', `/messages/${message_id}/versions`);
  const dialog = openSheet('versions');
  const items = versions.map((/** @type {{subject: string, content: string, until: string}} */ version) => {
    const subject = subjectOf(version);
    const until = make('small', {}, `until ${fullTime(version.until)}`);
    return make('li', {}, subject !== '' && make('p', { className: 'subject', dir: 'auto' }, subject), version.content !== '' && text(version.content), until);
  });
  const none = make('li', { className: 'faint' }, 'What it said before was not kept.');
  const list = dialog.querySelector('.versions');
  list?.replaceChildren(...(items.length ? items : [none]));
}
