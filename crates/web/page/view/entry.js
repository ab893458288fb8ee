// Logging in, and making an account.

import { byId, find } from '../dom.js';
import { switchboard } from '../world.js';
import { reasonOf } from './dialogs.js';

/** The pages of a browser share the session: who logs in on one is in on all. */
const doors = new BroadcastChannel('switchboard entry');

/** Shows the forms. @param {() => void} entered called when somebody logged in @param {string} [why] they have to */
export function showEntry(entered, why = '') {
  document.body.dataset.view = 'entry';
  byId('entry').hidden = false;
  byId('mail').hidden = true;
  complain('log-in', why);
  doors.onmessage = entered;
  onSubmit('log-in', (body) => switchboard.request('POST', '/auth/login', { body }), entered);
  onSubmit('register', async (body) => {
    await switchboard.request('POST', '/auth/register', { body });
    await switchboard.request('POST', '/auth/login', { body });
  }, entered);
  for (const button of byId('entry').querySelectorAll('[data-shows]')) {
    if (button instanceof HTMLElement) button.onclick = () => choose(button.dataset.shows ?? 'log-in');
  }
  find(byId('log-in'), 'input').focus();
}

export function hideEntry() {
  doors.onmessage = null;
  byId('entry').hidden = true;
  for (const id of ['log-in', 'register']) byId(id, HTMLFormElement).reset();
}

/** @param {string} shown */
function choose(shown) {
  for (const id of ['log-in', 'register']) byId(id).hidden = id !== shown;
  const name = find(byId(shown === 'register' ? 'log-in' : 'register'), '[name=username]');
  const input = /** @type {HTMLInputElement} */ (find(byId(shown), '[name=username]'));
  input.value = /** @type {HTMLInputElement} */ (name).value;
  input.focus();
}

/** @param {string} form @param {string} sentence */
function complain(form, sentence) {
  find(byId(form), '.error').textContent = sentence;
}

/** @param {string} id @param {(fields: any) => Promise<unknown>} act @param {() => void} entered */
function onSubmit(id, act, entered) {
  const form = byId(id, HTMLFormElement);
  const button = /** @type {HTMLButtonElement} */ (find(form, '.primary'));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    button.disabled = true;
    complain(id, '');
    try {
      await act(fields);
      doors.postMessage('entered');
      entered();
    } catch (error) {
      complain(id, reasonOf(error));
      find(form, '[name=password]').focus();
    } finally {
      button.disabled = false;
    }
  };
}
