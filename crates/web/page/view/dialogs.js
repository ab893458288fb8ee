// What stands above the page for a moment: questions, and sentences that go by themselves.

import { byId, find, make } from '../dom.js';

/** A sentence stays for so long, in milliseconds. */
const TOAST_MS = 6_000;

/**
 * Asks before something cannot be undone.
 *
 * @param {string} question
 * @param {{consequence?: string, yes?: string, no?: string}} [words]
 * @returns {Promise<boolean>}
 */
export function confirm(question, { consequence = '', yes = 'Delete', no = 'Keep' } = {}) {
  const dialog = byId('confirm', HTMLDialogElement);
  byId('question').textContent = question;
  byId('consequence').textContent = consequence;
  find(dialog, '[value=yes]').textContent = yes;
  find(dialog, '[value=no]').textContent = no;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === 'yes');
  });
}

/** Opens a sheet, which its button, Escape or a press beside it closes. @param {string} id */
export function openSheet(id) {
  const dialog = byId(id, HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  find(dialog, '[data-does=close]').onclick = () => dialog.close();
  let isBeside = false;
  // These give nothing: `false` would keep a button from what it does.
  dialog.onpointerdown = ({ target }) => {
    isBeside = target === dialog;
  };
  dialog.onclick = ({ target }) => {
    if (isBeside && target === dialog) dialog.close();
  };
  return dialog;
}

/** Shows a picture as large as there is place for. @param {{url: string, filename: string}} file */
export function showPicture({ url, filename }) {
  const dialog = openSheet('picture');
  Object.assign(find(dialog, 'img'), { src: url, alt: filename });
  Object.assign(find(dialog, 'a'), { href: url, download: filename });
}

/** Tells something that needs no answer: in the sheet that is open, since all else is out of reach then. @param {string} sentence */
export function tell(sentence) {
  const sheet = [...document.querySelectorAll('dialog[open]')].at(-1);
  const toasts = sheet ? make('div', { className: 'toasts', role: 'alert' }) : byId('toasts');
  sheet?.append(toasts);
  const toast = make('p', {}, sentence);
  toasts.append(toast);
  // Where the sheet closes meanwhile it is said on the page.
  sheet?.addEventListener('close', () => toasts.isConnected && byId('toasts').append(toast), { once: true });
  setTimeout(() => {
    toast.remove();
    if (sheet) toasts.remove();
  }, TOAST_MS);
}

/** What went wrong, for people. @param {unknown} error */
export function reasonOf(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

/** Does something, and tells if it does not work. @param {() => Promise<unknown>} action @returns {Promise<boolean>} whether it did */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    tell(reasonOf(error));
    return false;
  }
}
