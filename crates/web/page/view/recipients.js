// Chooses people by their names: a field with those who were picked, and a list of those who match (the combobox of the ARIA
// Authoring Practices).

import { clone, debounced, find, foreign, iconButton, make, reconcile } from '../dom.js';
import { nameOf } from '../format.js';
import { people } from '../world.js';
import { reasonOf } from './dialogs.js';
import { face } from './face.js';

/** @typedef {import('../../client/switchboard.js').User} User */

/** A pause in typing after which people are looked for, in milliseconds. */
const PAUSE_MS = 150;

let fields = 0;

/** Fires `change` when somebody is picked or taken back. */
export class Recipients extends HTMLElement {
  /** @type {User[]} */
  picked = [];
  /** @type {User[]} */
  #offered = [];
  #at = -1;
  /** The text for which these are offered. @type {string | undefined} */
  #offeredFor;
  /** Whether Enter was pressed before anybody was offered. */
  #isAwaited = false;
  /** Raised by each search: an answer to an earlier one does not count. */
  #searches = 0;
  #input = /** @type {HTMLInputElement} */ (/** @type {unknown} */ (this));
  /** @type {HTMLElement} */
  #options = this;
  #search = debounced(() => this.#offer(), PAUSE_MS);

  connectedCallback() {
    if (this.firstElementChild) return;
    const id = `recipients-${(fields += 1)}`;
    this.replaceChildren(clone('recipients-template'));
    this.#input = find(this, 'input');
    this.#options = find(this, '.options');
    const label = this.getAttribute('label') ?? '';
    find(this, '.label').textContent = label;
    this.#input.ariaLabel = label;
    this.#options.ariaLabel = label;
    this.#options.id = id;
    this.#input.setAttribute('aria-controls', id);
    this.#input.oninput = () => {
      this.#isAwaited = false;
      this.#search();
    };
    this.#input.onfocus = () => this.#search();
    this.#input.onkeydown = (event) => this.#press(event);
    this.#input.onblur = () => setTimeout(() => this.#close(), 150);
    find(this, '.field').onclick = () => this.#input.focus();
  }

  /** @param {User[]} users */
  set(users) {
    this.picked = users;
    this.#input.value = '';
    this.#draw();
  }

  /** Picks who is meant by a name that was typed in full. @returns {Promise<string>} what is left that names nobody */
  async settle() {
    const text = this.#input.value.trim();
    if (text === '') return '';
    const users = await people.search(text).catch(() => []);
    const isMeant = (/** @type {User} */ user) => [user.username, user.full_name].some((name) => name.toLocaleLowerCase() === text.toLocaleLowerCase());
    const meant = users.filter(isMeant);
    if (meant.length !== 1) return text;
    this.#pick(meant[0]);
    return '';
  }

  focusInput() {
    this.#input.focus();
  }

  async #offer() {
    const search = (this.#searches += 1);
    const query = this.#input.value.trim();
    this.#offeredFor = undefined;
    if (query === '' && document.activeElement !== this.#input) return this.#close();
    try {
      const users = await people.search(query);
      if (search !== this.#searches || document.activeElement !== this.#input) return;
      this.#offered = users.filter((user) => !this.picked.some(({ id }) => id === user.id));
      this.#offeredFor = query;
      this.#drawOptions(query === '' ? '' : 'Nobody of this name');
      if (this.#isAwaited && this.#offered[0]) this.#pick(this.#offered[0]);
    } catch (error) {
      this.#offered = [];
      if (search === this.#searches) this.#drawOptions(reasonOf(error));
    }
    if (search === this.#searches) this.#isAwaited = false;
  }

  /** @param {string} otherwise what is said where there is nobody */
  #drawOptions(otherwise) {
    const options = this.#offered.map((user, at) => {
      const names = make('span', { className: 'names' }, foreign('name', nameOf(user)), foreign('faint', `@${user.username}`));
      const option = make('li', { role: 'option', id: `${this.#options.id}-${at}` }, face(user.id, nameOf(user)), names);
      // A press must not take the focus from the field.
      option.onpointerdown = (event) => event.preventDefault();
      option.onclick = () => this.#pick(user);
      return option;
    });
    const none = options.length === 0 && otherwise !== '' ? [make('li', { role: 'option', ariaDisabled: 'true', className: 'faint' }, otherwise)] : [];
    this.#options.replaceChildren(...options, ...none);
    this.#options.hidden = this.#options.childElementCount === 0;
    this.#input.ariaExpanded = String(!this.#options.hidden);
    this.#mark(options.length > 0 && this.#input.value.trim() !== '' ? 0 : -1);
  }

  /** @param {number} at */
  #mark(at) {
    this.#at = at;
    const options = [...this.#options.querySelectorAll('[role=option]:not([aria-disabled])')];
    options.forEach((option, nth) => (option.ariaSelected = String(nth === at)));
    this.#input.setAttribute('aria-activedescendant', options[at]?.id ?? '');
    options[at]?.scrollIntoView({ block: 'nearest' });
  }

  #close() {
    this.#isAwaited = false;
    this.#searches += 1;
    this.#offered = [];
    this.#options.hidden = true;
    this.#input.ariaExpanded = 'false';
    this.#mark(-1);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { key } = event;
    const n = this.#offered.length;
    if (event.isComposing) return;
    if ((key === 'ArrowDown' || key === 'ArrowUp') && n > 0) this.#mark((this.#at + (key === 'ArrowDown' ? 1 : -1) + n) % n);
    else if (key === 'Enter' && this.#offeredFor !== this.#input.value.trim()) {
      // What is offered is for what stood there before: the first of what comes is meant.
      this.#isAwaited = this.#input.value.trim() !== '';
    } else if (key === 'Enter' && this.#offered[this.#at]) this.#pick(this.#offered[this.#at]);
    else if (key === 'Escape' && !this.#options.hidden) this.#close();
    else if (key === 'Backspace' && this.#input.value === '' && this.picked.length > 0) return this.#take(this.picked[this.picked.length - 1]);
    else if (key !== 'Enter') return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {User} user */
  #pick(user) {
    this.#close();
    this.#input.value = '';
    if (this.picked.some(({ id }) => id === user.id)) return;
    this.picked = [...this.picked, user];
    this.#draw();
  }

  /** @param {User} user */
  #take(user) {
    this.picked = this.picked.filter(({ id }) => id !== user.id);
    this.#draw();
    this.#input.focus();
  }

  #draw() {
    const chip = (/** @type {User} */ user) => make('li', {}, foreign('name', nameOf(user)), iconButton('close', `Remove ${nameOf(user)}`, () => this.#take(user)));
    reconcile(find(this, '.chips'), this.picked, ({ id }) => id, chip);
    this.dispatchEvent(new Event('change'));
  }
}

customElements.define('sb-recipients', Recipients);
