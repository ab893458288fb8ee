// A user without a browser: what there is to look at comes from them, over the HTTP API.

import { randomBytes } from 'node:crypto';

/** What a request wants that no foreign page may make. */
const HEADERS = { 'X-Requested-With': 'test' };

/** A name that nobody has. */
export const newName = () => `u${randomBytes(8).toString('hex')}`;

export class Account {
  /** Streams that make this user be online. */
  #streams = new AbortController();

  /** Registers and logs in; under a longer name, if somebody has this one already. */
  static async make(url, fullName, username = newName(), password = randomBytes(12).toString('base64url')) {
    const account = new Account();
    Object.assign(account, { url, fullName, username, password });
    const body = { username, password, full_name: fullName };
    const { status } = await account.#granted('POST', '/auth/register', body, [201, 409]);
    if (status === 409) return Account.make(url, fullName, `${username}.${randomBytes(2).toString('hex')}`, password);
    await account.logIn();
    return account;
  }

  /** As somebody who has an account already. */
  static async of({ url, fullName, username, password }) {
    const account = Object.assign(new Account(), { url, fullName, username, password });
    await account.logIn();
    return account;
  }

  async logIn() {
    const response = await this.#granted('POST', '/auth/login', { username: this.username, password: this.password }, [200]);
    this.cookie = response.headers.getSetCookie()[0]?.split(';')[0];
    this.id = (await response.json()).id;
  }

  #ask(method, path, body) {
    const isForm = body instanceof FormData;
    const headers = { ...HEADERS, ...(this.cookie && { Cookie: this.cookie }), ...(body && !isForm && { 'Content-Type': 'application/json' }) };
    return fetch(`${this.url}/api/v1${path}`, { method, headers, body: isForm ? body : body && JSON.stringify(body) });
  }

  async #granted(method, path, body, statuses) {
    const response = await this.#ask(method, path, body);
    if (!statuses.includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** One request, which must be granted. */
  async request(method, path, body) {
    const text = await (await this.#granted(method, path, body, [200, 201, 204])).text();
    return text && JSON.parse(text);
  }

  /** Sends to a user, or in a conversation by its id; gives the message. */
  async send(to, content, more = {}) {
    const where = typeof to === 'number' ? { conversation_id: to } : { recipient_id: to.id };
    return (await this.request('POST', '/messages', { ...where, content, ...more })).data;
  }

  /** Sends many, some at a time: in which order they are stored is the node's choice. */
  async sendMany(to, contents, atOnce = 32) {
    const lot = newName();
    const waiting = contents.map((content, at) => [content, at]);
    const lane = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [content, at] = next;
        const again = () => this.send(to, content, { client_message_id: `${lot}-${at}` });
        // A node may close an idle connection just as it is used: then the same is sent once more.
        await again().catch(again);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
  }

  /** Uploads a file for a message that is sent later; gives its id. */
  async upload(name, type, bytes) {
    const form = new FormData();
    form.append('file', new Blob([bytes], { type }), name);
    return (await this.request('POST', '/attachments', form)).attachments[0].id;
  }

  async group(title, members) {
    const body = { title, member_ids: members.map(({ id }) => id) };
    return (await this.request('POST', '/conversations', body)).conversation_id;
  }

  /** The ids of all messages of a conversation, the oldest first. */
  async messageIds(conversationId) {
    const ids = [];
    for (let query = ''; ; ) {
      const page = await this.request('GET', `/conversations/${conversationId}/messages?limit=200${query}`);
      ids.push(...page.messages.map(({ message_id }) => message_id));
      if (page.before === undefined) return ids.reverse();
      query = `&before=${page.before}`;
    }
  }

  react(message, reaction) {
    return this.request('PUT', `/messages/${message.message_id}/reactions/${encodeURIComponent(reaction)}`);
  }

  set(conversationId, settings) {
    return this.request('PUT', `/conversations/${conversationId}/settings`, settings);
  }

  read(message) {
    return this.request('POST', `/conversations/${message.conversation_id}/read`, { up_to: message.message_id });
  }

  types(to, is_typing = true) {
    const where = typeof to === 'number' ? { conversation_id: to } : { recipient_id: to.id };
    return this.request('POST', '/typing', { ...where, is_typing });
  }

  /** Is online from now on, until it leaves. */
  async comeOnline() {
    const { signal } = this.#streams;
    const response = await fetch(`${this.url}/api/v1/events/stream`, { headers: { Cookie: this.cookie }, signal });
    const take = async () => {
      for await (const _ of response.body);
    };
    take().catch(() => {});
  }

  leave() {
    this.#streams.abort();
  }

  /** What a browser context needs to be logged in as this user. */
  get storageState() {
    const [name, value] = this.cookie.split('=');
    const { hostname } = new URL(this.url);
    const cookie = { name, value, domain: hostname, path: '/', expires: -1, httpOnly: true, secure: false, sameSite: 'Lax' };
    return { cookies: [cookie], origins: [] };
  }
}
