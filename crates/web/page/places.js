// Where the page is: the part of the address behind `#`, so that Back, Forward, a reload and a bookmark do what they say.
//
// `#/` `#/sent` `#/archive` the folders · `#/c/7` a conversation · `#/c/7/81` the same, at a message · `#/new` `#/new/18` a new message

/**
 * @typedef {'inbox' | 'sent' | 'archive'} Folder
 *
 * @typedef {object} Place
 * @property {'list' | 'thread' | 'new'} name
 * @property {Folder} folder what the list shows
 * @property {number} [conversation]
 * @property {number} [message] where in the conversation
 * @property {number} [user] whom a new message is for
 */

/** @type {Folder} */
let folder = 'inbox';

/** @returns {Place} */
export function here() {
  const [name, first, second] = location.hash.replace(/^#\//, '').split('/');
  const [one, two] = [first, second].map((text) => (/^\d{1,15}$/.test(text ?? '') ? Number(text) : undefined));
  if (name === 'c' && one !== undefined) return { name: 'thread', folder, conversation: one, message: two };
  if (name === 'new') return { name: 'new', folder, user: one };
  folder = name === 'sent' || name === 'archive' ? name : 'inbox';
  return { name: 'list', folder };
}

/** @param {Folder} name */
export const folderAddress = (name) => (name === 'inbox' ? '#/' : `#/${name}`);
/** @param {number} conversation @param {number} [message] */
export const threadAddress = (conversation, message) => `#/c/${conversation}${message === undefined ? '' : `/${message}`}`;

/** Goes there. @param {string} address @param {{replaces?: boolean}} [how] whether Back leads past the present place */
export function go(address, { replaces = false } = {}) {
  if (!replaces) location.hash = address;
  else {
    history.replaceState(null, '', address);
    dispatchEvent(new HashChangeEvent('hashchange'));
  }
}
