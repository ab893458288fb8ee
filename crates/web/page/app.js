// The page: who is logged in decides what it shows.

import * as api from './api.js';
import { Session } from './session.js';
import { byId, show } from './view.js';

/** Tells the other tabs that somebody logged in or out: they share the cookie. */
const tabs = new BroadcastChannel('switchboard');

/** @type {Session | undefined} */
let session;

/** Shows what belongs to whoever is logged in. */
async function begin() {
  try {
    const me = await api.persist(api.me, new AbortController().signal, (why) => show('notice', `Trying again: ${why.message}.`));
    show('notice', '');
    enter(me);
  } catch (error) {
    const isLoggedOut = error instanceof api.Refusal && error.status === 401;
    leave(isLoggedOut ? '' : sentence(error));
  }
}

/** @param {api.Me} me */
function enter(me) {
  if (session?.me.id === me.id) return;
  session?.stop();
  session = new Session(me, { ended: () => leave('Your session has ended. Log in again.'), replaced: begin });
  session.start();
  arrange();
}

/** @param {string} why */
function leave(why) {
  session?.stop();
  session = undefined;
  show('notice', why);
  show('link', '');
  arrange();
}

function arrange() {
  const isIn = session !== undefined;
  byId('entry', HTMLElement).hidden = isIn;
  for (const id of ['mail', 'account']) byId(id, HTMLElement).hidden = !isIn;
  byId('mail', HTMLElement).dataset.shows = 'list';
  byId('confirm', HTMLDialogElement).close();
  if (!isIn) byId('connect', HTMLElement).hidden = true;
}

/** @param {string} id @param {(fields: any) => Promise<api.Me>} enterWith */
function onEntry(id, enterWith) {
  const form = byId(id, HTMLFormElement);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    const fields = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
    try {
      const me = await enterWith(Object.fromEntries(fields));
      show('notice', '');
      form.reset();
      tabs.postMessage('logged in');
      enter(me);
    } catch (error) {
      show('notice', sentence(error));
    } finally {
      button.disabled = false;
    }
  });
}

/** @param {unknown} error */
const sentence = (error) => `That did not work: ${error instanceof Error ? error.message : error}.`;

/** @param {string} id @param {() => void} action */
function onClick(id, action) {
  byId(id, HTMLButtonElement).addEventListener('click', action);
}

onEntry('log-in', (fields) => api.logIn(fields));
onEntry('register', async (fields) => {
  await api.register(fields);
  return api.logIn(fields);
});
onClick('log-out', async () => {
  try {
    await api.logOut();
    tabs.postMessage('logged out');
    leave('');
  } catch (error) {
    if (error instanceof api.Refusal && error.status === 401) leave('');
    else show('notice', sentence(error));
  }
});
onClick('connect', () => session?.feed.connect());
onClick('compose', () => session?.compose());
onClick('more-conversations', () => session?.loadMore());
onClick('older', () => session?.loadOlder());
onClick('back', () => {
  byId('mail', HTMLElement).dataset.shows = 'list';
});
for (const event of ['online', 'offline']) addEventListener(event, () => session?.feed.nudge());
document.addEventListener('visibilitychange', () => document.hidden || session?.feed.nudge());
addEventListener('beforeunload', (event) => session?.outbox.items.length && event.preventDefault());
tabs.onmessage = begin;
begin();
