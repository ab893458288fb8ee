// The left side: folders, search, and the rows of what was chosen.

import { byId, debounced, make, moveFocus, reconcile } from '../dom.js';
import { upTo99 } from '../format.js';
import { titleOf } from '../model/conversations.js';
import { folderAddress, go, here } from '../places.js';
import { mailbox, me, people, switchboard } from '../world.js';
import { reasonOf } from './dialogs.js';
import { Found } from './found.js';
import { drawOutgoing, outgoingElement } from './outgoing.js';
import { drawConversation, drawMessageRow, drawUser, newRow } from './rows.js';

/**
 * @typedef {import('../places.js').Folder} Folder
 * @typedef {import('../model/conversations.js').Conversation} Conversation
 */

/** A pause in typing after which is looked for, in milliseconds. */
const PAUSE_MS = 250;
/** The presence of so many is asked for. */
const WATCHED = 60;

export class List {
  #rows = byId('rows');
  #search = byId('search', HTMLInputElement);
  #tabs = /** @type {HTMLButtonElement[]} */ ([...byId('tabs').children]);
  /** Messages that the service found, for Sent, Archive and a search. */
  #found = new Found(() => this.#draw());
  /** @type {Folder | undefined} */
  #folder;

  constructor() {
    const look = debounced(() => this.#look(), PAUSE_MS);
    this.#search.oninput = look;
    this.#search.onkeydown = (event) => this.#press(event);
    for (const tab of this.#tabs) tab.onclick = () => this.#choose(tab);
    byId('tabs').onkeydown = (event) => moveFocus(byId('tabs'), '[role=tab]', event);
    this.#rows.onkeydown = (event) => moveFocus(this.#rows, 'a, button', event);
    this.#rows.onscroll = () => this.#more();
    // The same place again is no change of the address, but perhaps not where one is any more.
    this.#rows.onclick = ({ target }) => {
      const link = target instanceof Element ? target.closest('a') : null;
      if (link && link.hash === location.hash) dispatchEvent(new HashChangeEvent('hashchange'));
    };
    mailbox.on('list', () => this.#changed());
    people.on('presence', () => this.#soon());
    people.on('typing', () => this.#soon());
    people.on('names', () => this.#soon());
    switchboard.on('outbox', () => this.#soon());
    const refresh = debounced(() => this.#folder !== 'inbox' && this.#found.refresh(), PAUSE_MS);
    for (const type of ['message_sent', 'new_message']) switchboard.on(type, refresh);
    switchboard.on('reset', () => this.#found.refresh());
    switchboard.on('state', ({ name }) => (name === 'live' || name === 'polling') && this.#found.error && this.#found.more());
    // What is put away may have something unread.
    mailbox.load('inbox').then(() => mailbox.load('archive'));
  }

  /** Shows the folder of the present place, and which row is open. */
  arrive() {
    const { folder } = here();
    if (folder !== this.#folder) {
      this.#folder = folder;
      this.#search.value = '';
      for (const tab of this.#tabs) {
        const isChosen = tab.dataset.folder === folder;
        tab.ariaSelected = String(isChosen);
        tab.tabIndex = isChosen ? 0 : -1;
        if (isChosen) this.#rows.setAttribute('aria-labelledby', tab.id);
      }
      this.#look();
    }
    this.#draw();
  }

  /** @param {HTMLButtonElement} tab */
  #choose(tab) {
    this.#search.value = '';
    const folder = /** @type {Folder} */ (tab.dataset.folder);
    if (folder === this.#folder) this.#look();
    go(folderAddress(folder));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.key === 'Escape' && this.#search.value !== '') {
      event.preventDefault();
      this.#search.value = '';
      this.#look();
    } else if (event.key === 'ArrowDown') moveFocus(this.#rows, 'a, button', event);
  }

  /** Asks for what is to be shown. */
  #look() {
    const query = this.#search.value.trim();
    const boxes = { inbox: undefined, sent: 'sent', archive: undefined };
    if (this.#folder === 'inbox' && query === '') this.#found.clear();
    else this.#found.look(query, boxes[this.#folder ?? 'inbox'], this.#folder !== 'sent' && query !== '');
    this.#draw();
  }

  #changed() {
    this.#draw();
    const users = [...mailbox.conversations.values()].sort((a, b) => b.rank - a.rank).flatMap(({ user }) => (user && user.id !== me().id ? [user.id] : []));
    const watched = users.slice(0, WATCHED).join();
    if (watched === this.#watched) return;
    this.#watched = watched;
    people.watch('list', users.slice(0, WATCHED));
  }

  #watched = '';
  #soon = debounced(() => this.#draw(), 16);

  #draw() {
    const query = this.#search.value.trim();
    const parts = this.#folder === 'inbox' && query === '' ? this.#inbox() : this.#folder === 'archive' && query === '' ? this.#archive() : this.#results();
    reconcile(this.#rows, parts, ({ key }) => key, ({ make: create }) => create(), (element, { draw }) => draw(element));
    const unread = mailbox.list(true).reduce((sum, { unread_count }) => sum + unread_count, 0);
    const tab = byId('tab-archive');
    tab.replaceChildren('Archive', ...(unread > 0 ? [' ', make('span', { className: 'badge', role: 'img', ariaLabel: `${upTo99(unread)} unread` }, upTo99(unread))] : []));
  }

  #inbox() {
    const shelf = mailbox.shelves.inbox;
    const conversations = mailbox.list(false);
    const empty = 'No conversations yet. Write to somebody, and it begins here.';
    return [this.#outgoing(), conversationList('Inbox', conversations), state(shelf, conversations.length, empty, () => mailbox.load('inbox'))];
  }

  #archive() {
    const conversations = mailbox.list(true);
    const [messages, end] = this.#messages('No messages yet.');
    const shelf = mailbox.shelves.archive;
    const isNothing = conversations.length === 0 && shelf.isLoaded;
    return [
      heading('Put away'),
      conversationList('Put away', conversations),
      isNothing ? note('What you archive stands here, out of the way.') : state(shelf, conversations.length, '', () => mailbox.load('archive')),
      heading('All messages'),
      messages,
      end,
    ];
  }

  #results() {
    const query = this.#search.value.trim();
    if (this.#folder === 'sent') return this.#messages(query === '' ? 'Nothing sent yet.' : 'Nothing found.');
    const words = query.toLocaleLowerCase();
    const isMatch = (/** @type {Conversation} */ conversation) => titleOf(conversation).toLocaleLowerCase().includes(words) || conversation.user?.username.toLocaleLowerCase().includes(words);
    const conversations = [...mailbox.list(false), ...mailbox.list(true)].filter(isMatch).slice(0, 8);
    const others = this.#found.users.filter((user) => !mailbox.directWith(user.id) && user.id !== me().id);
    const [messages, end] = this.#messages('No messages found.');
    const people = rows('People', others, ({ id }) => `u${id}`, drawUser);
    return [
      ...(conversations.length > 0 ? [heading('Conversations'), conversationList('Conversations', conversations)] : []),
      ...(others.length > 0 ? [heading('People'), people] : []),
      heading('Messages'),
      messages,
      end,
    ];
  }

  /** @param {string} empty */
  #messages(empty) {
    const { message } = here();
    const draw = (/** @type {HTMLElement} */ row, /** @type {import('./message.js').Message} */ item) => drawMessageRow(row, item, item.message_id === message);
    const list = rows('Messages', this.#found.messages, ({ message_id }) => message_id, draw);
    return [list, state(this.#found, this.#found.messages.length, empty, () => this.#found.more())];
  }

  /** What is on its way to somebody with whom there is no conversation yet. */
  #outgoing() {
    const items = switchboard.outbox.filter(({ recipient_id }) => recipient_id !== undefined && !mailbox.directWith(recipient_id));
    const draw = (/** @type {HTMLElement} */ element) => {
      element.hidden = items.length === 0;
      const name = (/** @type {number} */ id) => people.nameOf(id, `user ${id}`);
      reconcile(element, items, ({ id }) => id, outgoingElement, (child, item) => drawOutgoing(child, item, name(item.recipient_id ?? 0)));
    };
    return { key: 'outgoing', make: () => make('div', { className: 'on-its-way', role: 'group', ariaLabel: 'On their way' }), draw };
  }

  /** Loads what comes next when its end is near. */
  #more() {
    const { scrollHeight, scrollTop, clientHeight } = this.#rows;
    if (scrollHeight - scrollTop - clientHeight > clientHeight) return;
    const isPlain = this.#search.value.trim() === '';
    if (this.#folder === 'inbox' && isPlain) mailbox.load('inbox');
    else this.#found.more();
    if (this.#folder === 'archive' && isPlain) mailbox.load('archive');
  }
}

/**
 * A list with its rows.
 *
 * @template T
 * @param {string} label
 * @param {T[]} items
 * @param {(item: T) => string | number} keyOf
 * @param {(row: HTMLElement, item: T) => void} draw
 */
function rows(label, items, keyOf, draw) {
  const fill = (/** @type {HTMLElement} */ list) => {
    list.hidden = items.length === 0;
    reconcile(list, items, keyOf, newRow, draw);
  };
  return { key: `list ${label}`, make: () => make('ul', { ariaLabel: label }), draw: fill };
}

/** @param {string} label @param {Conversation[]} conversations */
function conversationList(label, conversations) {
  const { conversation: open } = here();
  return rows(label, conversations, ({ id }) => id, (row, item) => drawConversation(row, item, item.id === open));
}

/** @param {string} text */
const heading = (text) => ({ key: `heading ${text}`, make: () => make('h2', {}, text), draw: () => {} });
/** @param {string} text */
const note = (text) => ({ key: `note ${text}`, make: () => make('p', { className: 'note' }, text), draw: () => {} });

/**
 * What stands below rows: that there are none, that more come, or why they do not.
 *
 * @param {{isLoaded: boolean, isLoading: boolean, error?: Error, hasMore?: boolean}} shelf
 * @param {number} n rows that there are
 * @param {string} empty what is said where there are none
 * @param {() => void} more
 */
function state({ isLoaded, isLoading, error, hasMore }, n, empty, more) {
  const isSkeleton = isLoading && n === 0;
  const text = error ? `This could not be loaded: ${reasonOf(error)}` : isLoading ? 'Loading…' : isLoaded && n === 0 && !hasMore ? empty : '';
  const label = error ? 'Try again' : !isLoading && hasMore ? 'Look further back' : '';
  const create = () => {
    const button = make('button', { type: 'button' }, label);
    button.onclick = more;
    const bones = isSkeleton ? Array.from({ length: 6 }, () => make('span', { className: 'bone', ariaHidden: 'true' })) : [make('p', {}, text)];
    return make('div', { className: 'note', ariaBusy: String(isLoading), hidden: text === '' && label === '' }, ...bones, label !== '' && button);
  };
  return { key: `state ${isSkeleton} ${text} ${label}`, make: create, draw: () => {} };
}

