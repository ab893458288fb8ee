// Notifications of the desktop: one a message however many pages of this user there are, none while one of them is looked at, and
// none any more once the message was read somewhere.
//
// The pages agree by locks: each that is in view holds `…visible`, shared, and one of all holds `…notifier`.

import { gist } from './format.js';
import { titleOf } from './model/conversations.js';
import { go, threadAddress } from './places.js';
import { prefer, preferences } from './preferences.js';
import { mailbox, me, people, switchboard } from './world.js';

/** @typedef {import('./view/message.js').Message} Message */

/** Who did not want to be asked now is asked again after so long, in milliseconds. */
const AGAIN_MS = 14 * 86_400_000;
/** So many stand at a time: the oldest go. */
const MOST = 20;

/** What is shown, by message. @type {Map<number, Notification>} */
const shown = new Map();
let isNotifier = false;
/** Messages that were read or deleted lately. @type {Set<number>} */
const gone = new Set();
const GONE = 1_000;

/** Whether they are allowed, and wanted. */
export const canNotify = () => globalThis.Notification?.permission === 'granted' && preferences().notify === 'on';

/** Whether it makes sense to ask for them: nobody did lately, and the browser would let us. */
export function mayAsk() {
  const { notify, asked } = preferences();
  const isPossible = globalThis.Notification !== undefined && navigator.locks !== undefined && Notification.permission !== 'denied';
  return isPossible && notify === 'unasked' && Date.now() - asked > AGAIN_MS;
}

/** Turns them on or off. To be called from a press of a button: browsers want that. @param {boolean} isOn @returns {Promise<boolean>} whether they are on */
export async function turnNotifications(isOn) {
  const isAllowed = isOn && (await globalThis.Notification?.requestPermission()) === 'granted';
  prefer({ notify: isAllowed ? 'on' : 'off' });
  return isAllowed;
}

/** Begins to watch. Without locks, as on plain HTTP, there are no notifications either. */
export function beginNotifications() {
  if (!navigator.locks || !globalThis.Notification) return;
  const name = `switchboard ${me().id}`;
  navigator.locks.request(`${name} notifier`, () => {
    isNotifier = true;
    return new Promise(() => {});
  });
  holdWhileVisible(`${name} visible`);
  switchboard.on('new_message', ({ data }) => isNotifier && announce(data, `${name} visible`));
  switchboard.on('message_read', ({ message_id, message_ids = [message_id] }) => message_ids.forEach(withdraw));
  switchboard.on('message_deleted', ({ message_id }) => withdraw(message_id));
  switchboard.on('reset', () => [...shown.keys()].forEach(withdraw));
  // Nobody would hear the press on one whose page is gone.
  addEventListener('pagehide', () => [...shown.keys()].forEach(withdraw));
}

/** @param {string} name of a lock */
function holdWhileVisible(name) {
  let release = () => {};
  const look = () => {
    release();
    release = () => {};
    if (document.visibilityState !== 'visible') return;
    const stop = new AbortController();
    release = () => stop.abort();
    const held = () => new Promise((resolve) => (release = () => resolve(undefined)));
    navigator.locks.request(name, { mode: 'shared', signal: stop.signal }, held).catch(() => {});
  };
  document.addEventListener('visibilitychange', look);
  look();
}

/** @param {Message} message @param {string} visible the lock of pages in view */
async function announce(message, visible) {
  if (!canNotify() || message.is_read || message.sender_id === me().id) return;
  const { held = [] } = await navigator.locks.query();
  if (held.some(({ name }) => name === visible)) return;
  const { conversation_id: id, message_id } = message;
  const conversation = mailbox.conversations.get(id) ?? (await mailbox.fetch(id).catch(() => undefined));
  // It may have been read while this was asked for.
  if (gone.has(message_id)) return;
  const isMentioned = message.mention_ids?.includes(me().id);
  if (conversation?.is_muted && !isMentioned) return;
  const sender = people.nameOf(message.sender_id, message.sender);
  const title = conversation?.kind === 'group' ? `${sender} in ${titleOf(conversation)}` : sender;
  const notification = new Notification(title, { body: gist(message).slice(0, 160), tag: `switchboard message ${message_id}`, icon: '/favicon.svg' });
  notification.onclick = () => {
    focus();
    go(threadAddress(id, message_id));
    notification.close();
  };
  notification.onclose = () => shown.delete(message_id);
  shown.set(message_id, notification);
  const [oldest] = shown.keys();
  if (shown.size > MOST) withdraw(oldest);
}

/** @param {number} id of a message */
function withdraw(id) {
  if (gone.size > GONE) gone.clear();
  gone.add(id);
  shown.get(id)?.close();
  shown.delete(id);
}
