// What somebody chose on this machine. Nothing in here is a secret, and nothing is lost with it.

/** @typedef {{theme: 'system' | 'light' | 'dark', notify: 'unasked' | 'on' | 'off', asked: number}} Preferences `asked`: when, in milliseconds */

const KEY = 'switchboard preferences';
/** @type {Preferences} */
const defaults = { theme: 'system', notify: 'unasked', asked: 0 };

/** @returns {Preferences} */
export function preferences() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    const theme = ['light', 'dark'].includes(kept.theme) ? kept.theme : defaults.theme;
    return { theme, notify: ['on', 'off'].includes(kept.notify) ? kept.notify : defaults.notify, asked: Number(kept.asked) || 0 };
  } catch {
    // Some browsers keep nothing.
    return defaults;
  }
}

/** @param {Partial<Preferences>} changed */
export function prefer(changed) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...preferences(), ...changed }));
  } catch {
    // Then it lasts as long as the page.
  }
  applyTheme(changed.theme ?? preferences().theme);
}

/** @param {Preferences['theme']} theme */
export function applyTheme(theme = preferences().theme) {
  document.documentElement.dataset.theme = theme;
}
