// One message of a thread: what it shows, for those that are stored and those on their way.

import { foreign, icon, make } from '../dom.js';
import { clockOf, count, dayKey, fullTime, gist, size, subjectOf } from '../format.js';
import { linked } from '../links.js';
import { me, people } from '../world.js';
import { showPicture } from './dialogs.js';
import { face, hue } from './face.js';

/**
 * @typedef {import('../../client/switchboard.js').Message & Record<string, any>} Message
 * @typedef {import('../../client/switchboard.js').Attachment} Attachment
 * @typedef {import('../model/thread.js').Thread} Thread
 */

/** Messages of one sender that follow one another within this are drawn as one, in milliseconds. */
const RUN_MS = 5 * 60_000;
/** Longer texts are shown in part at first, in characters and lines. */
const LONG = 4_000;
const LINES = 40;
/** Pictures that browsers show and that can do nothing else, up to so many bytes. */
export const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
const PICTURE_BYTES = 10_000_000;
/** One to three emoji and nothing else. */
const EMOJI = /^(?:\p{Extended_Pictographic}(?:\ufe0f|\p{EMod})?(?:\u200d\p{Extended_Pictographic}\ufe0f?){0,4}|\p{RI}\p{RI}){1,3}$/u;
/** Letters that run from right to left, and controls that turn a line: its end is not where it ends in the text. */
const TURNED = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]|[\ud802\ud803\ud83a\ud83b]/;

/** Whether a message goes on where the one before it ended. @param {Message | undefined} before @param {Message | undefined} message */
export function continues(before, message) {
  if (!before || !message || before.sender_id !== message.sender_id || subjectOf(message)) return false;
  const apart = Date.parse(message.created_at) - Date.parse(before.created_at);
  return apart < RUN_MS && dayKey(before.created_at) === dayKey(message.created_at);
}

/**
 * @param {Message} message
 * @param {Thread} thread
 * @param {boolean} isGroup
 */
export function messageElement(message, thread, isGroup) {
  const article = make('article', { className: 'message', tabIndex: -1, data: { id: message.message_id, key: message.message_id } });
  drawMessage(article, message, thread, isGroup);
  return article;
}

/** @param {HTMLElement} article @param {Message} message @param {Thread} thread @param {boolean} isGroup */
export function drawMessage(article, message, thread, isGroup) {
  const isOwn = message.sender_id === me().id;
  const name = people.nameOf(message.sender_id, message.sender);
  article.ariaLabel = `${isOwn ? 'You' : name}, ${clockOf(message.created_at)}`;
  article.classList.toggle('own', isOwn);
  article.classList.toggle('mentions', message.mention_ids?.includes(me().id) ?? false);
  article.classList.toggle('jumbo', EMOJI.test(message.content.trim()) && !subjectOf(message));
  const bubble = make(
    'div',
    { className: 'bubble' },
    isGroup && !isOwn && make('p', { className: `sender ${hue(message.sender_id)}`, dir: 'auto' }, name),
    message.reply_to_id !== undefined && quote(message.reply_to_id, thread),
    subjectOf(message) !== '' && make('p', { className: 'subject', dir: 'auto' }, subjectOf(message)),
    message.content !== '' && text(message.content),
    message.attachments.length > 0 && files(message.attachments),
    meta(message, isOwn, isGroup),
  );
  const reactions = message.reactions?.length ? [reactionList(message)] : [];
  article.replaceChildren(...(isGroup && !isOwn ? [face(message.sender_id, message.sender)] : []), bubble, ...reactions);
}

/** @param {string} content */
export function text(content) {
  const part = content.slice(0, LONG).split('\n', LINES).join('\n').replace(/[\ud800-\udbff]$/, '');
  const isLong = part.length < content.length;
  const className = TURNED.test(content) ? 'text turned' : 'text';
  const paragraph = make('p', { className, dir: 'auto' }, ...linked(isLong ? `${part}…` : content));
  if (!isLong) return paragraph;
  const more = make('button', { type: 'button', className: 'quiet more' }, 'Show all');
  more.addEventListener('click', () => {
    paragraph.replaceChildren(...linked(content));
    more.closest('article')?.focus();
    more.remove();
  });
  return make('div', {}, paragraph, more);
}

/** What a message answers: pressed, it leads there. @param {number} id @param {Thread} thread */
function quote(id, thread) {
  const button = make('button', { type: 'button', className: 'quote', data: { to: id } }, 'Loading…');
  const draw = (/** @type {Message | undefined} */ message) => {
    if (!message) return button.replaceWith(make('p', { className: 'quote' }, 'A message that is not there any more'));
    const isOwn = message.sender_id === me().id;
    const name = isOwn ? 'You' : people.nameOf(message.sender_id, message.sender);
    const sender = make('span', { className: isOwn ? 'sender self' : `sender ${hue(message.sender_id)}`, dir: 'auto' }, name);
    button.replaceChildren(sender, foreign('gist', gist(message)));
  };
  const known = thread.get(id);
  if (known) draw(known);
  else thread.lookUp(id).then(draw, () => button.replaceChildren('A message from before'));
  return button;
}

/** @param {Attachment[]} attachments */
function files(attachments) {
  const items = attachments.map((file) => {
    const isPicture = PICTURES.includes(file.media_type) && file.file_size <= PICTURE_BYTES;
    const about = aboutFile(file.filename, file.file_size);
    const link = make('a', { href: file.url, download: file.filename }, ...(isPicture ? [] : [icon('file')]), about);
    return isPicture ? make('li', { className: 'picture' }, preview(file), link) : make('li', {}, link);
  });
  return make('ul', { className: 'files', ariaLabel: 'Files' }, ...items);
}

/** What a file is called, and how large it is. @param {string} name @param {number} bytes */
export const aboutFile = (name, bytes) => make('span', { className: 'about-file' }, foreign('filename', name), make('small', {}, size(bytes)));

/** A picture that is pressed is shown large. @param {Attachment} file */
function preview(file) {
  const picture = make('img', { src: file.url, alt: '', loading: 'lazy', decoding: 'async' });
  const button = make('button', { type: 'button', ariaLabel: `Show ${file.filename}` }, picture);
  button.addEventListener('click', () => showPicture(file));
  return button;
}

/** @param {Message} message @param {boolean} isOwn @param {boolean} isGroup */
function meta({ edited_at, created_at, is_read, read_count }, isOwn, isGroup) {
  const edited = edited_at && make('button', { type: 'button', className: 'edited', title: `Edited: ${fullTime(edited_at)}` }, 'edited');
  const time = make('time', { dateTime: created_at, title: fullTime(created_at) }, clockOf(created_at));
  const readers = isGroup && read_count ? `Read by ${read_count}` : 'Read';
  return make('p', { className: 'meta' }, edited || '', time, isOwn && mark(is_read ? 'read' : 'stored', is_read ? readers : 'Sent'));
}

/** How far a message of one's own has come. @param {'pending' | 'stored' | 'read' | 'failed'} state @param {string} label */
export function mark(state, label) {
  return make('span', { className: 'mark', role: 'img', ariaLabel: label, title: label, data: { mark: state } }, icon(state));
}

/** @param {Message} message */
function reactionList({ reactions = [] }) {
  const items = reactions.map((/** @type {import('../model/thread.js').Reaction} */ { reaction, count: n, is_own }) => {
    const label = `${reaction}, ${count(n, 'reaction')}${is_own ? ', yours among them' : ''}`;
    const button = make('button', { type: 'button', ariaPressed: String(is_own), ariaLabel: label, data: { reaction } });
    button.append(foreign('emoji', reaction), n > 1 ? make('span', { className: 'n' }, String(n)) : '');
    return make('li', {}, button);
  });
  return make('ul', { className: 'reactions', ariaLabel: 'Reactions' }, ...items);
}
