// The rows of the lists: a conversation, a message, somebody one could write to, and what is on its way to somebody new.

import { foreign, icon, make } from '../dom.js';
import { fullTime, gist, nameOf, shortTime, subjectOf, upTo99 } from '../format.js';
import { titleOf } from '../model/conversations.js';
import { threadAddress } from '../places.js';
import { mailbox, me, people } from '../world.js';
import { face } from './face.js';
import { mark } from './message.js';

/**
 * @typedef {import('../model/conversations.js').Conversation} Conversation
 * @typedef {import('./message.js').Message} Message
 */

/** @param {string} at */
const time = (at) => make('time', { dateTime: at, title: fullTime(at) }, shortTime(at));

/** @param {number} n */
const badge = (n) => make('span', { className: 'badge', role: 'img', ariaLabel: `${upTo99(n)} unread`, hidden: n === 0 }, upTo99(n));

/** Fills the link of a row, which stays. @param {HTMLElement} row @param {HTMLElement} face @param {(Node | string | false)[][]} lines */
function put(row, face, ...lines) {
  const link = row.querySelector('a') ?? row.appendChild(make('a', { className: 'row' }));
  const [head, foot] = lines.map((parts) => make('span', { className: 'line' }, ...parts));
  link.replaceChildren(face, make('span', { className: 'lines' }, head, foot));
  return link;
}

export const newRow = () => make('li');

/** @param {HTMLElement} row @param {Conversation} conversation @param {boolean} isOpen */
export function drawConversation(row, conversation, isOpen) {
  const { id, kind, user, last_message, unread_count, is_muted } = conversation;
  const name = user ? people.nameOf(user.id, nameOf(user)) : titleOf(conversation);
  const status = people.presenceOf(user?.id)?.status;
  // Something changes all the time, most rows do not.
  const lastSender = kind === 'group' && last_message && people.nameOf(last_message.sender_id, last_message.sender);
  const { message_id, created_at, edited_at, is_read } = /** @type {Partial<Message>} */ (last_message ?? {});
  const shown = [name, status, created_at && shortTime(created_at), message_id, edited_at, is_read, unread_count, is_muted, isOpen, conversation.draft, people.typingIn(id), lastSender];
  const drawn = JSON.stringify(shown);
  if (row.dataset.drawn === drawn) return;
  row.dataset.drawn = drawn;
  const link = put(
    row,
    face(user?.id ?? id, titleOf(conversation), status),
    [foreign('name', name), is_muted && icon('muted'), last_message ? time(last_message.created_at) : ''],
    [preview(conversation), badge(unread_count)],
  );
  link.href = threadAddress(id);
  link.dataset.id = String(id);
  link.ariaCurrent = isOpen ? 'page' : null;
  link.classList.toggle('unread', unread_count > 0);
  link.classList.toggle('muted', is_muted);
  link.dataset.kind = kind;
}

/** @param {Conversation} conversation */
function preview({ id, kind, draft, last_message }) {
  const typing = people.typingIn(id);
  const line = make('span', { className: 'preview', dir: 'auto' });
  if (typing.length > 0) {
    line.classList.add('typing');
    line.append(kind === 'group' ? `${people.nameOf(typing[0])} is typing…` : 'typing…');
  } else if (draft !== '') line.append(make('span', { className: 'draft' }, 'Draft: '), draft.slice(0, 120));
  else if (last_message) line.append(...lastWords(kind, last_message));
  else line.append('No messages yet');
  return line;
}

/** @param {'direct' | 'group'} kind @param {Message} message */
function lastWords(kind, message) {
  const isOwn = message.sender_id === me().id;
  const state = isOwn ? [mark(message.is_read ? 'read' : 'stored', message.is_read ? 'Read' : 'Sent'), ' '] : [];
  const who = isOwn ? make('i', {}, 'You') : make('bdi', {}, people.nameOf(message.sender_id, message.sender));
  const subject = subjectOf(message);
  return [...state, ...(kind === 'group' ? [who, ': '] : []), subject && message.content ? `${subject} — ` : '', gist(message)];
}

/** A message by itself, as in Sent and in what was found. @param {HTMLElement} row @param {Message} message @param {boolean} isOpen */
export function drawMessageRow(row, message, isOpen) {
  const isOwn = message.sender_id === me().id;
  const { recipient = '' } = message;
  const isGroup = message.recipient_id === undefined;
  const sender = people.nameOf(message.sender_id, message.sender);
  const name = isOwn ? make('span', { className: 'name' }, 'To ', make('bdi', {}, recipient)) : foreign('name', isGroup ? `${sender} in ${recipient}` : sender);
  const subject = subjectOf(message);
  const line = make('span', { className: 'preview', dir: 'auto' }, subject !== '' && make('b', {}, subject), subject !== '' && message.content !== '' ? ' — ' : '', message.content ? gist(message) : '');
  const files = message.attachments.length > 0 && make('span', { className: 'files-n', title: message.attachments.map(({ filename }) => filename).join(', ') }, icon('attach'), String(message.attachments.length));
  const other = mailbox.conversations.get(message.conversation_id)?.user?.id;
  const shown = isOwn ? face(other ?? message.recipient_id ?? message.conversation_id, recipient) : face(message.sender_id, message.sender);
  const link = put(row, shown, [name, time(message.created_at)], [line, files || '']);
  link.href = threadAddress(message.conversation_id, message.message_id);
  link.dataset.message = String(message.message_id);
  link.ariaCurrent = isOpen ? 'page' : null;
  link.classList.toggle('unread', !isOwn && !message.is_read);
}

/** Somebody without a conversation. @param {HTMLElement} row @param {import('../../client/switchboard.js').User} user */
export function drawUser(row, user) {
  const link = put(row, face(user.id, nameOf(user)), [foreign('name', nameOf(user))], [foreign('preview', `@${user.username}`)]);
  link.href = `#/new/${user.id}`;
}
