// How things stand with the service, said calmly: nothing while all is well, and nothing of what passes in a moment.

import { byId, find, make } from '../dom.js';
import { switchboard } from '../world.js';

/** @typedef {import('../../client/switchboard.js').State} State */

/** While it is not known who this is. @type {Partial<Record<State['name'], string>>} */
const BEFORE = {
  closed: 'Loading…',
  connecting: 'Connecting…',
  reconnecting: 'The service cannot be reached. Trying again…',
  offline: 'You are offline. The page comes up as soon as there is a network.',
};

/** @type {Record<State['name'], string>} */
const SENTENCES = {
  closed: '',
  connecting: 'Connecting…',
  live: '',
  polling: 'New messages come every few seconds: the network lets nothing faster through.',
  reconnecting: 'Reconnecting… What you write is kept and goes out by itself.',
  offline: 'You are offline. What you write is kept and goes out by itself.',
  'signed out': '',
  stopped: 'This page cannot go on.',
};

export function beginState() {
  draw(switchboard.state);
  switchboard.on('state', draw);
}

/** @param {State} state */
function draw({ name, reason }) {
  const line = byId('state');
  line.dataset.state = name;
  const isKnown = switchboard.me !== undefined;
  if (!isKnown) find(byId('loading'), 'p').textContent = BEFORE[name] ?? '';
  const text = !isKnown && BEFORE[name] ? '' : name === 'stopped' ? `${SENTENCES.stopped} ${reason ?? ''}` : SENTENCES[name];
  if (line.firstChild?.textContent === text) return;
  const again = make('button', { type: 'button' }, 'Load it again');
  again.onclick = () => location.reload();
  line.replaceChildren(text, ...(name === 'stopped' ? [' ', again] : []));
}
