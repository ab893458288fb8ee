// A message of one's own that the service does not have yet.

import { foreign, icon, make } from '../dom.js';
import { count, gist, size } from '../format.js';
import { switchboard } from '../world.js';
import { mark } from './message.js';

/** @typedef {import('../../client/switchboard.js').Outgoing} Outgoing */

/** How far the files of each have come, in bytes. @type {Map<string, {sent: number, total: number}>} */
const progress = new Map();
switchboard.on('progress', ({ id, sent, total }) => {
  progress.set(id, { sent, total });
  for (const bar of document.querySelectorAll('progress')) if (bar.dataset.of === id) fill(bar, { sent, total });
});
switchboard.on('outbox', (items) => {
  const ids = new Set(items.map(({ id }) => id));
  for (const id of progress.keys()) if (!ids.has(id)) progress.delete(id);
});

/** @param {HTMLProgressElement} bar @param {{sent: number, total: number}} how */
function fill(bar, { sent, total }) {
  bar.max = total;
  bar.value = sent;
  bar.title = `${size(sent)} of ${size(total)}`;
}

/** @param {Outgoing} item */
export function outgoingElement(item) {
  const article = make('article', { className: 'message own outgoing first last', tabIndex: -1, data: { key: item.id } });
  drawOutgoing(article, item);
  return article;
}

/** @param {HTMLElement} article @param {Outgoing} item @param {string} [to] whom for, where that does not show */
export function drawOutgoing(article, item, to) {
  const { failure } = item;
  const state = failure ? 'failed' : 'pending';
  // What it says does not change but for this; what has the focus stays.
  const isLive = switchboard.state.name === 'live';
  const drawn = `${state} ${failure?.message} ${isLive} ${to}`;
  if (article.dataset.drawn === drawn) return;
  Object.assign(article.dataset, { drawn, mark: state });
  article.ariaLabel = failure ? 'Not sent' : 'Being sent';
  const bubble = make(
    'div',
    { className: 'bubble' },
    to !== undefined && make('p', { className: 'sender' }, 'To ', foreign('name', to)),
    item.subject !== '' && make('p', { className: 'subject', dir: 'auto' }, item.subject),
    item.content !== '' && make('p', { className: 'text', dir: 'auto' }, to === undefined ? item.content : gist({ ...item, attachments: [] })),
    item.files.length > 0 && files(item),
    make('p', { className: 'meta' }, failure ? foreign('why', `Not sent: ${failure.message}`) : '', mark(state, failure ? 'Not sent' : 'Sending')),
    buttons(item, isLive),
  );
  article.replaceChildren(bubble);
}

/** @param {Outgoing} item */
function files({ id, files, failure }) {
  const names = files.map((file) => make('li', {}, icon('file'), foreign('filename', 'name' in file ? String(file.name) : ''), make('small', {}, size(file.size))));
  const list = make('ul', { className: 'files', ariaLabel: 'Files' }, ...names);
  const bar = make('progress', { ariaLabel: `Uploading ${count(files.length, 'file')}`, data: { of: id } });
  fill(bar, progress.get(id) ?? { sent: 0, total: files.reduce((sum, file) => sum + file.size, 0) });
  return make('div', {}, list, !failure && bar);
}

/** @param {Outgoing} item @param {boolean} isLive */
function buttons({ id, failure, files }, isLive) {
  const button = (/** @type {string} */ label, /** @type {() => unknown} */ act) => {
    const made = make('button', { type: 'button' }, label);
    made.addEventListener('click', act);
    return made;
  };
  const discard = () => switchboard.discard(id);
  const choices = failure ? [button('Try again', () => switchboard.retry(id)), button('Discard', discard)] : [button('Cancel', discard)];
  return make('div', { className: 'buttons', hidden: !failure && files.length === 0 && isLive }, ...choices);
}
