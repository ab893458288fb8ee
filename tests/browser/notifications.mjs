// What stands in for the notifications of the browser, and for whether a page is looked at: both are out of a test's reach.

/** Keeps what would be shown; runs before the page. Whether it may, all tabs of a browser agree on. */
export function recordNotifications() {
  window.__notifications = [];
  class Recorder extends EventTarget {
    static get permission() {
      return localStorage.getItem('test permission') ?? 'default';
    }
    static async requestPermission(callback) {
      const asked = Number(localStorage.getItem('test asked') ?? 0) + 1;
      localStorage.setItem('test asked', String(asked));
      localStorage.setItem('test activated', String(navigator.userActivation?.isActive));
      localStorage.setItem('test permission', 'granted');
      callback?.('granted');
      return 'granted';
    }
    constructor(title, { body = '', tag = '', ...options } = {}) {
      super();
      Object.assign(this, { title, body, tag, options, isOpen: true });
      if (Recorder.permission === 'granted') window.__notifications.push(this);
    }
    close() {
      this.isOpen = false;
      this.dispatchEvent(new Event('close'));
    }
    click() {
      const event = new Event('click', { cancelable: true });
      this.onclick?.(event);
      this.dispatchEvent(event);
    }
  }
  window.Notification = Recorder;
  window.__focused = 0;
  window.focus = () => (window.__focused += 1);
}

/** Lets a page believe that it is looked at, or not; runs before the page. */
export function controlVisibility() {
  let isHidden = false;
  Object.defineProperty(Document.prototype, 'hidden', { get: () => isHidden });
  Object.defineProperty(Document.prototype, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
  Document.prototype.hasFocus = () => !isHidden;
  window.__hide = (hides) => {
    isHidden = hides;
    document.dispatchEvent(new Event('visibilitychange'));
    dispatchEvent(new Event(hides ? 'blur' : 'focus'));
  };
}

export const hide = (tab) => tab.page.evaluate(() => window.__hide(true));
export const show = (tab) => tab.page.evaluate(() => window.__hide(false));

/** What a tab has shown: `{title, body, tag, isOpen}` each. */
export const shown = (tab) => tab.page.evaluate(() => window.__notifications.map(({ title, body, tag, isOpen }) => ({ title, body, tag, isOpen })));

/** Allows them from the start, and wants them. */
export function wantNotifications() {
  // An empty page has no storage.
  if (location.protocol !== 'http:') return;
  localStorage.setItem('test permission', 'granted');
  localStorage.setItem('switchboard preferences', JSON.stringify({ notify: 'on' }));
}
