// A new message: to one, to several, each for themselves, or to a new group.

import { Refusal } from '../../client/switchboard.js';
import { clone, find } from '../dom.js';
import { folderAddress, go, threadAddress } from '../places.js';
import { mailbox, people, switchboard } from '../world.js';
import { putBack } from './composer.js';
import { attempt, reasonOf, tell } from './dialogs.js';
import { receiveFiles } from './drop.js';

/** @typedef {import('./composer.js').Draft} Draft */

export class NewMessage extends HTMLElement {
  #stop = new AbortController();
  #isSending = false;
  /** Whether a group was asked for, however few are picked. */
  #isGroup = false;
  /** Names the group that is made, so that to try again makes no second one; of each title and members another. */
  #group = { of: '', id: '' };
  #key = '';

  /** @param {number} [to] a user @param {import('../places.js').Folder} [folder] where Back leads */
  async show(to, folder = 'inbox') {
    this.replaceChildren(clone('new-template'));
    /** @type {HTMLAnchorElement} */ (find(this, '.back')).href = folderAddress(folder);
    const { signal } = this.#stop;
    this.#recipients.addEventListener('change', () => this.#draw(), { signal });
    this.#composer.addEventListener('send', (event) => this.#send(/** @type {CustomEvent<Draft>} */ (event).detail), { signal });
    this.#key = `new message ${to ?? ''}`;
    this.#composer.open(this.#key);
    receiveFiles(this, (files) => this.#composer.attach(files));
    const group = find(this, '[data-does=group]');
    group.onclick = () => {
      this.#isGroup = true;
      this.#draw();
      find(this, '[name=title]').focus();
    };
    this.#composer.showSubject({ takesFocus: false });
    const user = to === undefined ? undefined : (people.get(to) ?? (await this.#fetch(to)));
    if (signal.aborted) return;
    if (!user && to !== undefined) tell('There is nobody of this number.');
    if (!user) return this.#recipients.focusInput();
    const known = mailbox.directWith(user.id);
    if (known) return go(threadAddress(known.id), { replaces: true });
    this.#recipients.set([user]);
    this.#composer.focusText();
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  /** @returns {import('./recipients.js').Recipients} */
  get #recipients() {
    return find(this, 'sb-recipients');
  }

  /** @returns {import('./composer.js').Composer} */
  get #composer() {
    return find(this, 'sb-composer');
  }

  /** A user by id: the list of users goes by it. @param {number} id */
  async #fetch(id) {
    const { users } = await switchboard.request('GET', '/users', { query: { after: id - 1, limit: 1 } }).catch(() => ({ users: [] }));
    const user = users.find((/** @type {{id: number}} */ other) => other.id === id);
    if (user) people.learn(user);
    return user;
  }

  #draw() {
    const isGroup = this.#isGroup || this.#recipients.picked.length > 1;
    for (const element of this.querySelectorAll('.title')) /** @type {HTMLElement} */ (element).hidden = !isGroup;
    find(this, '[data-does=group]').hidden = isGroup;
  }

  /** @param {Draft} draft */
  async #send(draft) {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      await this.#begin(draft);
    } finally {
      this.#isSending = false;
    }
  }

  /** @param {Draft} draft */
  async #begin(draft) {
    const unknown = await this.#recipients.settle();
    const { picked } = this.#recipients;
    const field = /** @type {HTMLInputElement} */ (find(this, '[name=title]'));
    const title = field.value.trim();
    if (unknown !== '' || picked.length === 0) {
      tell(unknown === '' ? 'Whom is it for? Choose somebody first.' : `Who is “${unknown}”? Choose somebody from the list.`);
      this.#recipients.focusInput();
    } else if (this.#isGroup && title === '') {
      tell('A group needs a name.');
      field.focus();
    } else if ((picked.length > 1 || this.#isGroup) && title !== '') await attempt(() => this.#toGroup(title, draft));
    else this.#toEach(draft);
  }

  /** Sends, and puts back what the browser could not even keep. @param {import('../../client/switchboard.js').Draft} to @param {Draft} draft */
  #write(to, draft) {
    const { content, subject, files } = draft;
    const sent = switchboard.send({ ...to, content, subject, files });
    sent.catch((error) => {
      // What the service refused stands among the messages.
      if (error instanceof Refusal && error.code !== 'closed') return;
      tell(`Not sent: ${reasonOf(error)}`);
      putBack(this.#key, draft);
    });
    return sent;
  }

  /** @param {string} title @param {Draft} draft */
  async #toGroup(title, draft) {
    const member_ids = this.#recipients.picked.map(({ id }) => id);
    const of = JSON.stringify([title, member_ids]);
    if (this.#group.of !== of) this.#group = { of, id: crypto.getRandomValues(new Uint32Array(4)).join('-') };
    const body = { title, member_ids, client_conversation_id: this.#group.id };
    const { conversation_id } = await switchboard.request('POST', '/conversations', { body });
    this.#leave(threadAddress(conversation_id));
    this.#write({ conversation_id }, draft);
  }

  /** @param {Draft} draft */
  #toEach(draft) {
    const { picked } = this.#recipients;
    const known = picked.length === 1 ? mailbox.directWith(picked[0].id) : undefined;
    if (picked.length > 1) tell(`On its way to ${picked.length} people.`);
    this.#leave(known ? threadAddress(known.id) : folderAddress('inbox'));
    const [sent] = picked.map(({ id }) => this.#write({ recipient_id: id }, draft));
    if (known || picked.length > 1) return;
    // The conversation begins with it: what is on its way shows above the list until then.
    const place = location.hash;
    sent.then(
      ({ conversation_id }) => location.hash === place && go(threadAddress(conversation_id)),
      (error) => error instanceof Refusal && error.code !== 'closed' && tell(`Not sent: ${reasonOf(error)}`),
    );
  }

  /** @param {string} address */
  #leave(address) {
    this.#composer.clear();
    this.dispatchEvent(new CustomEvent('sent', { bubbles: true }));
    go(address);
  }
}

customElements.define('sb-new', NewMessage);
