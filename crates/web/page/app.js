// The page: who is logged in decides what it shows, and its address where.

import { byId, clone, drawIcons, icon, find } from './dom.js';
import { count, gist } from './format.js';
import { beginNotifications, mayAsk, turnNotifications } from './notifications.js';
import { here } from './places.js';
import { applyTheme, prefer } from './preferences.js';
import { isOfFiles } from './view/drop.js';
import { hideEntry, showEntry } from './view/entry.js';
import { List } from './view/list.js';
import './view/composer.js';
import './view/recipients.js';
import './view/scroller.js';
import { NewMessage } from './view/new.js';
import { beginProfile } from './view/profile.js';
import { beginState } from './view/state.js';
import { ThreadView } from './view/thread.js';
import { me, people, switchboard } from './world.js';

/** Why somebody has to log in, over the loading of the page anew. */
const ENDED = '#/ended';

/** @type {List | undefined} */
let list;
let isLeaving = false;
/** What stands where nothing is open; one, so that its picture is there without a network too. */
const empty = /** @type {HTMLElement} */ (clone('empty-template').firstElementChild);

/** Asks who is logged in, and goes on from there. */
async function begin() {
  try {
    await switchboard.connect();
  } catch {
    const isOut = switchboard.state.name === 'signed out';
    // Once in, it is the state that tells: see `leave`.
    if (!list && isOut) showEntry(begin, location.hash === ENDED ? 'Your session has ended. Log in again.' : '');
  }
}

/** Shows what belongs to who is logged in. */
function enter() {
  if (list) return;
  hideEntry();
  if (location.hash === ENDED) history.replaceState(null, '', '#/');
  document.body.dataset.view = 'mail';
  byId('mail').hidden = false;
  byId('new').append(icon('write'));
  drawIcons(document);
  beginProfile();
  beginNotifications();
  list = new List();
  addEventListener('hashchange', arrive);
  arrive();
  drawUnread(switchboard.unread);
}

/** Nothing of one user is left for the next: the page begins anew. @param {string} [reason] */
function leave(reason) {
  if (!list) return;
  isLeaving = true;
  location.hash = reason === 'logged out' ? '#/' : ENDED;
  location.reload();
}

/** Shows the place that the address names. */
function arrive() {
  const place = here();
  const stage = byId('stage');
  document.body.dataset.place = place.name;
  const open = stage.firstElementChild;
  // What was opened over the place before belongs there.
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  if (place.name === 'thread' && place.conversation !== undefined) {
    if (open instanceof ThreadView && open.conversation === place.conversation) open.goTo(place.message);
    else {
      const thread = new ThreadView();
      stage.replaceChildren(thread);
      thread.show(place.conversation, place.message, place.folder);
    }
  } else if (place.name === 'new') {
    const message = new NewMessage();
    stage.replaceChildren(message);
    message.show(place.user, place.folder);
  } else stage.replaceChildren(empty);
  list?.arrive();
}

/** @param {number} unread */
function drawUnread(unread) {
  const badge = byId('unread');
  badge.textContent = String(unread);
  badge.ariaLabel = count(unread, 'unread message');
  badge.hidden = unread === 0;
  document.title = unread === 0 ? 'Switchboard' : `(${unread}) Switchboard`;
}

/** Says what came, to those who do not see it. @param {import('./view/message.js').Message} message */
function announce(message) {
  if (!document.hidden) byId('news').textContent = `${people.nameOf(message.sender_id, message.sender)}: ${gist(message)}`;
}

/** Asks for notifications once somebody has written something: then it is clear what they are for. */
function ask() {
  const box = byId('ask');
  if (!mayAsk() || !box.hidden) return;
  box.hidden = false;
  const answer = (/** @type {() => unknown} */ act) => () => {
    box.hidden = true;
    act();
  };
  find(box, '#ask-yes').onclick = answer(() => turnNotifications(true));
  find(box, '#ask-no').onclick = answer(() => prefer({ asked: Date.now() }));
}

applyTheme();
beginState();
switchboard.on('me', enter);
switchboard.on('state', ({ name, reason }) => name === 'signed out' && leave(reason));
switchboard.on('unread', drawUnread);
switchboard.on('new_message', ({ data }) => data.sender_id !== me().id && announce(data));
addEventListener('sent', ask);
addEventListener('beforeunload', (event) => !isLeaving && switchboard.outbox.some(({ files }) => files.length > 0) && event.preventDefault());
for (const event of ['focus', 'blur', 'visibilitychange']) {
  (event === 'visibilitychange' ? document : window).addEventListener(event, () => switchboard.setPresent(!document.hidden));
}
// A file that is dropped beside its place would be opened instead of the page.
for (const event of /** @type {const} */ (['dragover', 'drop'])) addEventListener(event, (dropped) => isOfFiles(dropped) && dropped.preventDefault());
begin();
