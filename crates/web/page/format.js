// How times, sizes and names are said, in the language of the browser.

/** @typedef {import('../client/switchboard.js').User} User */

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayOfAnyYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const longDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

const DAY_MS = 86_400_000;

/** Midnight before it, as a number. @param {Date} date */
const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
/** Days from then to now, by the calendar. @param {Date} date */
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / DAY_MS);

/** @param {string} at a time as the service tells it */
export const clockOf = (at) => clock.format(new Date(at));
/** @param {string} at */
export const fullTime = (at) => full.format(new Date(at));
/** Names a day among all. @param {string} at */
export const dayKey = (at) => midnight(new Date(at));

/** What tells one time from another in a list: the hour if it was today, else the day. @param {string} at */
export function shortTime(at) {
  const date = new Date(at);
  const days = daysAgo(date);
  if (days <= 0) return clock.format(date);
  if (days < 7) return weekday.format(date);
  return (date.getFullYear() === new Date().getFullYear() ? dayOfYear : dayOfAnyYear).format(date);
}

/** The heading of a day. @param {string} at */
export function dayName(at) {
  const date = new Date(at);
  const days = daysAgo(date);
  if (days === 0 || days === 1) return capital(relative.format(-days, 'day'));
  return (date.getFullYear() === new Date().getFullYear() ? longDay : longDate).format(date);
}

/** When somebody was last there. @param {string | undefined} at */
function lastSeen(at) {
  if (!at) return 'offline';
  const minutes = Math.round((Date.now() - Date.parse(at)) / 60_000);
  if (minutes < 1) return 'last seen just now';
  if (minutes < 60) return `last seen ${relative.format(-minutes, 'minute')}`;
  const days = daysAgo(new Date(at));
  if (days === 0) return `last seen at ${clockOf(at)}`;
  return `last seen ${days < 7 ? relative.format(-days, 'day') : dayOfAnyYear.format(new Date(at))}`;
}

/** Whether somebody is there; nothing where that is not known. @param {import('./model/people.js').Presence | undefined} presence */
export const presenceText = (presence) => (presence?.status === 'offline' ? lastSeen(presence.last_seen) : (presence?.status ?? ''));

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1e3) return count(bytes, 'byte');
  const [unit, factor] = bytes < 1e6 ? ['kilobyte', 1e3] : ['megabyte', 1e6];
  const digits = bytes >= 1e6 ? 1 : 0;
  return new Intl.NumberFormat(undefined, { style: 'unit', unit, maximumFractionDigits: digits }).format(bytes / factor);
}

/** @param {User} user */
export const nameOf = (user) => user.full_name || user.username;

/** One or two letters for somebody who has no picture. @param {string} name */
export function initials(name) {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? '')][0] ?? '');
  return letters.join('').toLocaleUpperCase();
}

/** @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
/** More than fits is said as more. @param {number} n */
export const upTo99 = (n) => (n > 99 ? '99+' : String(n));

/** The subject, if it has one. @param {{subject: string}} message */
export const subjectOf = ({ subject }) => (subject === 'No Subject' ? '' : subject);

/** A message in one line. @param {{content: string, subject: string, attachments?: {filename: string}[]}} message */
export function gist(message) {
  const files = message.attachments ?? [];
  const text = message.content.slice(0, 200).replaceAll(/\s+/g, ' ').trim();
  if (text) return text;
  if (files.length > 0) return files.length === 1 ? files[0].filename : count(files.length, 'file');
  return subjectOf(message);
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);
