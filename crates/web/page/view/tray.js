// The files that go with a message, before it is sent: what is too large or too many is said here, not by the service.

import { icon, iconButton, make, reconcile } from '../dom.js';
import { count, size } from '../format.js';
import { switchboard } from '../world.js';
import { PICTURES, aboutFile } from './message.js';

/** @extends {EventTarget} fires `change` */
export class Tray extends EventTarget {
  /** @type {File[]} */
  files = [];
  #list;
  /** Names each file for as long as it is there. @type {WeakMap<File, string>} */
  #keys = new WeakMap();
  #n = 0;

  /** @param {HTMLElement} list where they are shown */
  constructor(list) {
    super();
    this.#list = list;
  }

  /**
   * Adds what may be added.
   *
   * @param {Iterable<File>} files
   * @returns {string} what is to be said about the others
   */
  add(files) {
    const { attachments, attachment_bytes } = switchboard.limits;
    const refused = [];
    let tooMany = 0;
    for (const file of files) {
      if (file.size === 0) refused.push(`“${file.name}” is empty`);
      else if (file.size > attachment_bytes) refused.push(`“${file.name}” is larger than ${size(attachment_bytes)}`);
      else if (this.files.length >= attachments) tooMany += 1;
      else this.files.push(file);
    }
    if (tooMany > 0) refused.push(`a message has at most ${count(attachments, 'file')}: ${tooMany} left out`);
    this.#draw();
    return refused.length === 0 ? '' : `${refused.join('; ')}.`;
  }

  /** @param {File[]} files */
  set(files) {
    this.files = [...files];
    this.#draw();
  }

  #draw() {
    this.#list.hidden = this.files.length === 0;
    const keyOf = (/** @type {File} */ file) => {
      if (!this.#keys.has(file)) this.#keys.set(file, String((this.#n += 1)));
      return /** @type {string} */ (this.#keys.get(file));
    };
    reconcile(this.#list, this.files, keyOf, (file) => this.#item(file));
    this.dispatchEvent(new Event('change'));
  }

  /** @param {File} file */
  #item(file) {
    const remove = iconButton('close', `Remove ${file.name}`, () => this.set(this.files.filter((other) => other !== file)));
    const item = make('li', {}, icon('file'), aboutFile(file.name, file.size), remove);
    if (PICTURES.includes(file.type)) {
      const url = URL.createObjectURL(file);
      const free = () => URL.revokeObjectURL(url);
      item.querySelector('.icon')?.replaceWith(make('img', { src: url, alt: '', onload: free, onerror: free }));
    }
    return item;
  }
}
