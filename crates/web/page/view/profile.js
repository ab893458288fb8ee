// Who one is here, what one chose, and the way out.

import { byId, find, foreign, make, reconcile } from '../dom.js';
import { count, nameOf } from '../format.js';
import { canNotify, turnNotifications } from '../notifications.js';
import { prefer, preferences } from '../preferences.js';
import { mailbox, me, people, switchboard } from '../world.js';
import { attempt, confirm, openSheet, reasonOf, tell } from './dialogs.js';
import { face, putFace } from './face.js';

/** @typedef {import('../../client/switchboard.js').User} User */

/** Draws the button that leads here, and makes the sheet work. */
export function beginProfile() {
  drawName();
  byId('profile-button').onclick = open;
  byId('log-out').onclick = logOut;
  listenToName();
  listenToPassword();
  const receipts = field('receipts');
  receipts.onchange = async () => {
    const body = { send_receipts: receipts.checked };
    if (!(await attempt(() => switchboard.request('PUT', '/settings', { body })))) receipts.checked = !receipts.checked;
  };
  mailbox.on('receipts', (sends) => (receipts.checked = sends));
  const notify = field('notify');
  notify.onchange = async () => {
    notify.checked = await turnNotifications(notify.checked);
    drawHint();
  };
  byId('appearance').onchange = ({ target }) => {
    if (target instanceof HTMLInputElement) prefer({ theme: /** @type {'system' | 'light' | 'dark'} */ (target.value) });
  };
  mailbox.on('blocks', () => byId('profile', HTMLDialogElement).open && loadBlocked());
}

/** What was not sent would stay in the browser, for whoever uses it next. */
async function logOut() {
  const unsent = [...switchboard.outbox];
  const consequence = `${count(unsent.length, 'message')} could not be sent yet. Whoever logs out discards what is not sent.`;
  if (unsent.length > 0 && !(await confirm('Log out and discard?', { consequence, yes: 'Log out', no: 'Stay' }))) return;
  await attempt(async () => {
    for (const { id } of unsent) await switchboard.discard(id);
    await switchboard.logOut();
  });
}

/** @param {string} name @returns {HTMLInputElement} */
const field = (name) => find(byId('profile'), `[name=${name}]`);

function open() {
  const dialog = openSheet('profile');
  field('full_name').value = me().full_name;
  const { theme } = preferences();
  for (const radio of dialog.querySelectorAll('[name=theme]')) if (radio instanceof HTMLInputElement) radio.checked = radio.value === theme;
  field('notify').checked = canNotify();
  drawHint();
  const part = byId('password-part', HTMLDetailsElement);
  part.open = false;
  part.hidden = !me().has_password;
  /** @type {HTMLInputElement} */ (find(byId('password-form'), '[name=username]')).value = me().username;
  attempt(async () => {
    field('receipts').checked = (await switchboard.request('GET', '/settings')).send_receipts;
  });
  loadBlocked();
}

function drawHint() {
  const permission = !isSecureContext ? 'insecure' : (globalThis.Notification?.permission ?? 'unavailable');
  const hints = {
    insecure: 'Browsers have notifications only over HTTPS.',
    denied: 'The browser forbids it for this page: allow notifications in its settings.',
    unavailable: 'This browser has no notifications.',
  };
  byId('notify-hint').textContent = hints[/** @type {keyof typeof hints} */ (permission)] ?? '';
  field('notify').disabled = permission in hints;
}

function drawName() {
  const { id, username } = me();
  const name = nameOf(me());
  const button = byId('profile-button');
  button.replaceChildren(face(id, name));
  button.ariaLabel = `Your profile: ${name}`;
  const dialog = byId('profile');
  putFace(dialog, face(id, name));
  find(dialog, '.name').textContent = name;
  find(dialog, '.username').textContent = `@${username}`;
  people.learn(me());
}

function listenToName() {
  byId('name-form').onsubmit = async (event) => {
    event.preventDefault();
    const body = { full_name: field('full_name').value.trim() };
    const isSaved = await attempt(async () => {
      const { full_name } = await switchboard.request('PATCH', '/me', { body });
      Object.assign(me(), { full_name });
    });
    if (!isSaved) return;
    drawName();
    tell('Saved.');
  };
}

function listenToPassword() {
  const form = byId('password-form', HTMLFormElement);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const { current_password, new_password } = Object.fromEntries(new FormData(form));
    const error = find(form, '.error');
    error.textContent = '';
    try {
      await switchboard.request('PUT', '/me/password', { body: { current_password, new_password } });
      form.reset();
      byId('password-part', HTMLDetailsElement).open = false;
      tell('The password is changed. Other devices are logged out.');
    } catch (why) {
      error.textContent = reasonOf(why);
    }
  };
}

async function loadBlocked() {
  await attempt(async () => {
    const { users } = await switchboard.request('GET', '/blocks');
    const part = byId('blocked');
    part.hidden = users.length === 0;
    const row = (/** @type {User} */ user) => {
      const name = nameOf(user);
      const button = make('button', { type: 'button', className: 'quiet', ariaLabel: `Unblock: ${name}` }, 'Unblock');
      button.onclick = () => attempt(() => switchboard.request('DELETE', `/blocks/${user.id}`));
      return make('li', {}, face(user.id, name), make('span', { className: 'names' }, foreign('name', name)), button);
    };
    reconcile(find(part, '.people'), users, ({ id }) => id, row);
  });
}
