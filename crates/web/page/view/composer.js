// Where messages are written: text, subject and files, an answer or a text anew.

import { clone, find } from '../dom.js';
import { gist, size, subjectOf } from '../format.js';
import { me, people, switchboard } from '../world.js';
import { reasonOf } from './dialogs.js';
import { Tray } from './tray.js';

/**
 * @typedef {import('./message.js').Message} Message
 * @typedef {{content: string, subject: string, files: File[], about?: {kind: 'reply' | 'edit', message: Message}, known?: string}} Draft
 *   `known`: what the other devices know of it
 */

/** Written and not sent, by what it is for; forgotten with the page. @type {Map<string, Draft>} */
const drafts = new Map();

/** What could not be sent stands there again, once that is opened. @param {string} key @param {Draft} draft */
export function putBack(key, draft) {
  const now = drafts.get(key);
  const content = [draft.content, now?.content].filter(Boolean).join('\n');
  drafts.set(key, { ...draft, content, subject: draft.subject || (now?.subject ?? ''), files: [...draft.files, ...(now?.files ?? [])] });
}

/** Fires `send` with a {@link Draft}, `typing` with whether somebody types, and `edit-last`. */
export class Composer extends HTMLElement {
  /** What the draft is for. */
  #key = '';
  /** What the other devices know of it. */
  #known = '';
  #form = /** @type {HTMLFormElement} */ (/** @type {unknown} */ (this));
  #text = /** @type {HTMLTextAreaElement} */ (/** @type {unknown} */ (this));
  #subject = /** @type {HTMLInputElement} */ (/** @type {unknown} */ (this));
  #tray = new Tray(this);
  /** @type {Draft['about']} */
  #about;
  /** What stood here before a text was written anew. @type {Draft | undefined} */
  #before;

  connectedCallback() {
    if (this.firstElementChild) return;
    this.replaceChildren(clone('composer-template'));
    this.#form = find(this, 'form');
    this.#text = find(this, 'textarea');
    this.#subject = find(this, '[name=subject]');
    this.#tray = new Tray(find(this, '.tray'));
    this.#tray.addEventListener('change', () => this.#changed());
    const input = /** @type {HTMLInputElement} */ (find(this, '[name=files]'));
    find(this, '[data-does=attach]').onclick = () => input.click();
    find(this, '[data-does=subject]').onclick = () => this.showSubject();
    find(this, '[data-does=cancel]').onclick = () => this.#cancel();
    input.onchange = () => {
      this.attach(input.files ?? []);
      input.value = '';
    };
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    this.#text.oninput = () => this.#changed();
    this.#subject.oninput = () => this.#changed();
    this.#text.onkeydown = (event) => this.#press(event);
    this.#subject.onkeydown = (event) => this.#press(event);
    this.#text.onpaste = (event) => {
      const types = event.clipboardData?.types ?? [];
      const files = event.clipboardData?.files ?? [];
      // Cells and letters come with a picture of themselves: it is the text that is meant.
      const isText = types.includes('text/plain') && types.includes('text/html');
      if (files.length === 0 || isText) return;
      event.preventDefault();
      this.attach(files);
    };
  }

  disconnectedCallback() {
    this.keep();
  }

  /** Writes for somebody: what was begun for them is there again. @param {string} key @param {string} [known] as the other devices have it */
  open(key, known = '') {
    this.#key = key;
    this.#known = known;
    const draft = drafts.get(key) ?? { content: known, subject: '', files: [] };
    // Another device went on with it.
    const isOutdated = draft.known !== undefined && draft.content === draft.known && known !== draft.known;
    this.#show(isOutdated ? { ...draft, content: known } : draft);
  }

  /** Keeps what is written until it is opened again. */
  keep() {
    if (this.#key === '') return;
    const draft = { ...(this.#before ?? this.draft), known: this.#known };
    const isEmpty = draft.content === '' && draft.subject === '' && draft.files.length === 0 && !draft.about;
    if (isEmpty) drafts.delete(this.#key);
    else drafts.set(this.#key, draft);
  }

  /** What is written. @returns {Draft} */
  get draft() {
    return { content: this.#text.value, subject: this.#subject.value, files: [...this.#tray.files], about: this.#about };
  }

  /** What the other devices know of it now. What was written here since stays. @param {string} content */
  adopt(content) {
    const isUnchanged = this.#text.value === this.#known && !this.#about;
    if (this.#before && !this.#before.about && this.#before.content === this.#known) this.#before.content = content;
    this.#known = content;
    if (!isUnchanged) return;
    this.#text.value = content;
    this.#fit();
  }

  /** What the other devices are to be told, if it is news to them. */
  get news() {
    const { content, about } = this.#before ?? this.draft;
    if (about?.kind === 'edit' || content === this.#known) return undefined;
    this.#known = content;
    return content;
  }

  /** What could not be sent, before what is written by now. @param {Draft} draft */
  restore(draft) {
    if (this.isConnected) this.keep();
    putBack(this.#key, draft);
    if (this.isConnected && this.#before === undefined) this.open(this.#key, this.#known);
  }

  /** @param {Message} message */
  reply(message) {
    if (this.#about?.kind === 'edit') this.#cancel();
    this.#show({ ...this.draft, about: { kind: 'reply', message } });
    this.#text.focus();
  }

  /** @param {Message} message */
  edit(message) {
    this.#before ??= this.draft;
    this.#show({ content: message.content, subject: subjectOf(message), files: [], about: { kind: 'edit', message } });
    this.#text.focus();
  }

  /** @param {Iterable<File>} files */
  attach(files) {
    if (this.#about?.kind === 'edit') return this.#complain('Files cannot be added to a message that was sent.');
    this.#complain(this.#tray.add(files));
    this.#text.focus();
  }

  /** @param {{takesFocus?: boolean}} [how] */
  showSubject({ takesFocus = true } = {}) {
    find(this, '.subject').hidden = false;
    find(this, '[data-does=subject]').hidden = true;
    if (takesFocus) this.#subject.focus();
  }

  /** @param {Draft} draft */
  #show({ content, subject, files, about }) {
    this.#text.value = content;
    this.#subject.value = subject;
    this.#tray.set(files);
    this.#about = about;
    const isEdit = about?.kind === 'edit';
    find(this, '.subject').hidden = subject === '';
    find(this, '[data-does=subject]').hidden = subject !== '';
    find(this, '[data-does=attach]').hidden = isEdit;
    this.#complain('');
    this.#drawAbout();
    this.#changed(false);
  }

  #drawAbout() {
    find(this, '.about').hidden = this.#about === undefined;
    if (!this.#about) return;
    const { kind, message } = this.#about;
    const who = message.sender_id === me().id ? 'yourself' : people.nameOf(message.sender_id, message.sender);
    const head = document.createElement('strong');
    head.append(kind === 'edit' ? 'Edit message' : `Reply to ${who}`);
    find(this, '.about p').replaceChildren(head, ` ${gist(message)}`);
    find(this, '[data-does=cancel]').ariaLabel = kind === 'edit' ? 'Cancel edit' : 'Cancel reply';
  }

  #cancel() {
    const before = this.#before ?? { ...this.draft, about: undefined };
    this.#before = undefined;
    this.#show(before);
    this.#text.focus();
  }

  #submit() {
    const draft = this.draft;
    const reason = this.#refusal(draft);
    if (reason !== undefined) return this.#complain(reason);
    const { kind, message } = draft.about ?? {};
    if (kind === 'edit' && message) return this.#change(message, draft);
    this.dispatchEvent(new CustomEvent('send', { detail: draft }));
  }

  /** It was sent: there is place for the next. */
  clear() {
    drafts.delete(this.#key);
    this.#before = undefined;
    this.#show({ content: '', subject: '', files: [] });
  }

  /** Why this cannot be sent; nothing is said of what is empty. @param {Draft} draft */
  #refusal({ content, subject, files, about }) {
    const { content_bytes, subject_chars } = switchboard.limits;
    const hadFiles = (about?.kind === 'edit' && about.message.attachments.length > 0) || files.length > 0;
    if (content.trim() === '' && !hadFiles) return about?.kind === 'edit' ? 'A message says something. To take it back, delete it.' : '';
    const bytes = new TextEncoder().encode(content).length;
    if (bytes > content_bytes) return `The text is too long: ${size(bytes)} of ${size(content_bytes)}.`;
    if ([...subject].length > subject_chars) return `The subject is too long: at most ${subject_chars} characters.`;
    return undefined;
  }

  /** @param {Message} message @param {Draft} draft */
  async #change({ message_id }, { content, subject }) {
    try {
      await switchboard.request('PATCH', `/messages/${message_id}`, { body: { content, subject } });
      // By now another one may be written anew.
      if (this.#about?.kind === 'edit' && this.#about.message.message_id === message_id) this.#cancel();
    } catch (error) {
      this.#complain(reasonOf(error));
    }
  }

  /** @param {string} sentence */
  #complain(sentence) {
    find(this, '.error').textContent = sentence;
  }

  #changed(isByHand = true) {
    this.#fit();
    if (!isByHand) return;
    this.#complain('');
    this.dispatchEvent(new CustomEvent('typing', { detail: this.#text.value !== '' && this.#about?.kind !== 'edit' }));
  }

  /** As many lines as there are, up to what the style allows. */
  #fit() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.isComposing) return;
    // On a touch keyboard there is no other key for a new line, and a button to send.
    const breaks = event.target === this.#text && matchMedia('(hover: none) and (pointer: coarse)').matches;
    if (event.key === 'Enter' && !event.shiftKey && !breaks) {
      event.preventDefault();
      this.#form.requestSubmit();
    } else if (event.key === 'Escape' && this.#about) {
      event.preventDefault();
      this.#cancel();
    } else if (event.key === 'ArrowUp' && this.#text.value === '' && event.target === this.#text) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent('edit-last'));
    }
  }

  focusText() {
    this.#text.focus();
  }
}

customElements.define('sb-composer', Composer);
