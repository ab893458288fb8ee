// Draws what the page holds. All text goes into the page as text, never as markup: much of it was written by
// strangers.

import { attachmentUrl } from './api.js';

/**
 * @typedef {import('./api.js').Message} Message
 * @typedef {import('./api.js').Conversation} Conversation
 * @typedef {import('./outbox.js').Outgoing} Outgoing
 */

/**
 * The element of the page with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type what it is
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} ${id}`);
}

/** @param {string} id @param {string} text */
export function show(id, text) {
  byId(id, HTMLElement).textContent = text;
}

/**
 * Makes an element. Children that are strings become text.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Brings the children of a list in line with its items, one element an item. Elements stay as long as their
 * item does, and with them focus and what is open.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {(item: T) => number | string} keyOf
 * @param {(item: T) => HTMLElement} create
 * @param {(element: HTMLElement, item: T) => void} update
 */
function reconcile(list, items, keyOf, create, update) {
  const keys = new Set(items.map((item) => String(keyOf(item))));
  /** @type {Map<string | undefined, HTMLElement>} */
  const present = new Map();
  for (const child of /** @type {HTMLElement[]} */ ([...list.children])) {
    if (keys.has(child.dataset.key ?? '')) present.set(child.dataset.key, child);
    else child.remove();
  }
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    const element = present.get(key) ?? create(item);
    element.dataset.key = key;
    update(element, item);
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/** @param {import('./api.js').User} user */
export const nameOf = (user) => user.full_name || user.username;

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
/** @param {string} at @param {Intl.DateTimeFormat} format */
const time = (at, format) => make('time', { dateTime: at, className: 'faint' }, format.format(new Date(at)));

/** What tells one time from another in a list: the hour if it was today, else the day. @param {string} at */
const dayOrHour = (at) => time(at, new Date(at).toDateString() === new Date().toDateString() ? hour : day);

/** Text of others: its direction is its own and ends with it. @param {string} className @param {string} text */
const foreign = (className, text) => make('span', { className, dir: 'auto' }, text);

/** @param {number} bytes */
function size(bytes) {
  const [unit, factor] = bytes < 1e3 ? ['byte', 1] : bytes < 1e6 ? ['kilobyte', 1e3] : ['megabyte', 1e6];
  return new Intl.NumberFormat(undefined, { style: 'unit', unit, maximumFractionDigits: 1 }).format(bytes / factor);
}

/** @param {number} unread */
export function drawUnread(unread) {
  const badge = byId('unread', HTMLElement);
  badge.textContent = String(unread);
  badge.ariaLabel = `${unread} unread`;
  badge.hidden = unread === 0;
  document.title = unread === 0 ? 'Switchboard' : `(${unread}) Switchboard`;
}

/** @param {import('./api.js').User[]} users */
export function drawUsers(users) {
  const options = users.map((user) => make('option', { value: user.username, label: nameOf(user) }));
  byId('users', HTMLDataListElement).replaceChildren(...options);
}

/**
 * @param {import('./mailbox.js').Mailbox} mailbox
 * @param {(conversation: Conversation) => void} open
 */
export function drawConversations(mailbox, open) {
  const latest = (/** @type {Conversation} */ { last_message }) => last_message.message_id;
  const conversations = [...mailbox.conversations.values()].sort((a, b) => latest(b) - latest(a));
  byId('no-conversations', HTMLElement).hidden = !mailbox.isLoaded || conversations.length > 0;
  byId('more-conversations', HTMLElement).hidden = mailbox.before === undefined;
  const create = (/** @type {Conversation} */ { id }) => {
    const button = make('button', { type: 'button' });
    button.dataset.test = 'conversation';
    button.onclick = () => open(/** @type {Conversation} */ (mailbox.conversations.get(id)));
    return make('li', {}, button);
  };
  reconcile(byId('conversations', HTMLElement), conversations, ({ id }) => id, create, (element, item) => {
    const { user, last_message, unread_count } = item;
    const button = /** @type {HTMLElement} */ (element.firstElementChild);
    const count = unread_count >= 100 ? '99+' : String(unread_count);
    const badge = make('span', { className: 'badge', role: 'img', ariaLabel: `${count} unread`, hidden: !unread_count }, count);
    button.className = unread_count ? 'unread' : '';
    button.ariaCurrent = String(mailbox.thread?.id === item.id);
    button.replaceChildren(foreign('name', nameOf(user)), dayOrHour(last_message.created_at));
    button.append(foreign('faint', `${last_message.subject}: ${last_message.content.slice(0, 80)}`), badge);
  });
}

/**
 * @typedef {object} MessageActions
 * @property {(message: Message) => void} read
 * @property {(message: Message) => void} remove
 */

/**
 * @param {import('./mailbox.js').Mailbox} mailbox
 * @param {number} me
 * @param {MessageActions} actions
 */
export function drawThread({ thread }, me, actions) {
  const older = byId('older', HTMLButtonElement);
  older.hidden = thread?.before === undefined;
  older.disabled = thread?.isLoading ?? false;
  show('thread-heading', thread ? nameOf(thread.user) : 'New message');
  const list = byId('messages', HTMLElement);
  const scroll = byId('scroll', HTMLElement);
  const fromEnd = scroll.scrollHeight - scroll.scrollTop;
  const wasAtEnd = fromEnd - scroll.clientHeight < 40;
  const firstBefore = list.firstElementChild;
  const messages = [...(thread?.messages.values() ?? [])].sort((a, b) => a.message_id - b.message_id);
  const create = (/** @type {Message} */ message) => messageElement(message, me, actions);
  reconcile(list, messages, ({ message_id }) => message_id, create, (element, message) => {
    const isOwn = message.sender_id === me;
    element.classList.toggle('unread', !isOwn && !message.is_read);
    const state = /** @type {HTMLElement} */ (element.querySelector('[data-test=state]'));
    state.textContent = isOwn ? (message.is_read ? 'Read' : 'Sent') : message.is_read ? '' : 'New';
  });
  // What is looked at stays where it is, unless that is the end: then new messages push the old ones up.
  if (wasAtEnd) scroll.scrollTop = scroll.scrollHeight;
  else if (firstBefore !== list.firstElementChild) scroll.scrollTop = scroll.scrollHeight - fromEnd;
}

/**
 * What was received and not read is closed: opening it is reading it.
 * @param {Message} message
 * @param {number} me
 * @param {MessageActions} actions
 */
function messageElement(message, me, actions) {
  const isOwn = message.sender_id === me;
  const state = make('span', { className: 'state' });
  state.dataset.test = 'state';
  const head = make('small', {}, foreign('name', isOwn ? 'You' : message.sender), ' · ', time(message.created_at, full), state);
  const remove = make('button', { type: 'button', className: 'danger' }, 'Delete');
  remove.dataset.test = 'delete';
  remove.onclick = () => actions.remove(message);
  const links = message.attachments.map((file) => {
    const link = make('a', { href: attachmentUrl(file), download: file.filename }, foreign('', file.filename));
    return make('li', {}, link, make('small', {}, ` ${size(file.file_size)}`));
  });
  const element = make(
    'details',
    { className: isOwn ? 'own' : '', open: isOwn || message.is_read },
    make('summary', {}, foreign('subject', message.subject), head),
    make('p', { className: 'content', dir: 'auto' }, message.content),
    make('ul', { ariaLabel: 'Files', hidden: links.length === 0 }, ...links),
    remove,
  );
  element.dataset.test = 'message';
  element.ontoggle = () => element.open && element.classList.contains('unread') && actions.read(message);
  return element;
}

/** @param {import('./outbox.js').Outbox} outbox */
export function drawOutbox(outbox) {
  const create = (/** @type {Outgoing} */ item) => {
    const discard = make('button', { type: 'button' }, 'Discard');
    discard.onclick = () => outbox.discard(item);
    const text = foreign('content', item.subject || item.content.slice(0, 80) || `${item.files.length} file(s)`);
    const to = make('small', {}, 'To ', foreign('name', nameOf(item.recipient)), ' · ', make('span', {}));
    return make('li', {}, text, to, discard);
  };
  reconcile(byId('outbox', HTMLElement), outbox.items, ({ id }) => id, create, (element, { state, why }) => {
    const says = { sending: 'sending…', waiting: `trying again: ${why}`, refused: `not sent: ${why}` }[state];
    const status = /** @type {HTMLElement} */ (element.querySelector('small > span:last-child'));
    status.textContent = says;
  });
}

/** Asks before something cannot be undone. @param {string} question @returns {Promise<boolean>} */
export function confirm(question) {
  const dialog = byId('confirm', HTMLDialogElement);
  byId('question', HTMLElement).textContent = question;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === 'yes');
  });
}
