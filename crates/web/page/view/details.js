// What a conversation is, and what can be done with it as a whole.

import { find, foreign, make, reconcile } from '../dom.js';
import { count, nameOf, presenceText } from '../format.js';
import { titleOf } from '../model/conversations.js';
import { folderAddress, go } from '../places.js';
import { mailbox, me, people, switchboard } from '../world.js';
import { attempt, confirm, openSheet, tell } from './dialogs.js';
import { face, putFace } from './face.js';

/**
 * @typedef {import('../model/conversations.js').Conversation} Conversation
 * @typedef {import('../model/conversations.js').Member} Member
 */

/** @param {number} id */
export function openDetails(id) {
  const dialog = openSheet('details');
  const draw = () => {
    const conversation = mailbox.conversations.get(id);
    if (conversation) drawDetails(dialog, conversation);
    else dialog.close();
  };
  const offs = [mailbox.on('conversation', (changed) => changed === id && draw()), mailbox.on('gone', (gone) => gone === id && dialog.close()), mailbox.on('blocks', draw)];
  dialog.onclose = () => offs.forEach((off) => off());
  const recipients = /** @type {import('./recipients.js').Recipients} */ (find(dialog, 'sb-recipients'));
  recipients.set([]);
  listen(dialog, id, recipients);
  draw();
  loadBlocks().then(draw, () => {});
}

/** Whom the user has blocked. @type {Set<number>} */
let blocked = new Set();

async function loadBlocks() {
  const { users } = await switchboard.request('GET', '/blocks');
  blocked = new Set(users.map((/** @type {{id: number}} */ { id }) => id));
}

mailbox.on('blocks', ({ user_id, is_blocked }) => (is_blocked ? blocked.add(user_id) : blocked.delete(user_id)));

/** @param {HTMLElement} dialog @param {number} id @param {import('./recipients.js').Recipients} recipients */
function listen(dialog, id, recipients) {
  const path = `/conversations/${id}`;
  const conversation = () => /** @type {Conversation} */ (mailbox.conversations.get(id));
  const does = (/** @type {string} */ name, /** @type {() => void} */ act) => (find(dialog, `[data-does=${name}]`).onclick = act);
  const settings = (/** @type {object} */ body) => attempt(() => switchboard.request('PUT', `${path}/settings`, { body }));
  const form = find(dialog, '#title-form');
  const title = /** @type {HTMLInputElement} */ (find(form, 'input'));
  title.value = conversation()?.title ?? '';
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(async () => {
      await switchboard.request('PATCH', path, { body: { title: title.value } });
      tell('Saved.');
    });
  };
  does('mute', () => settings({ is_muted: !conversation().is_muted }));
  does('archive', () => settings({ is_archived: !conversation().is_archived }));
  does('block', () => block(conversation()));
  does('leave', () => leave(id));
  does('add', async () => {
    const user_ids = recipients.picked.map((user) => user.id);
    if (user_ids.length === 0) return recipients.focusInput();
    if (await attempt(() => switchboard.request('POST', `${path}/members`, { body: { user_ids } }))) recipients.set([]);
  });
}

/** @param {Conversation} conversation */
async function block({ user }) {
  if (!user) return;
  const isBlocked = blocked.has(user.id);
  const consequence = 'They cannot write to you any more, and are not told.';
  if (!isBlocked && !(await confirm(`Block ${nameOf(user)}?`, { consequence, yes: 'Block', no: 'Cancel' }))) return;
  attempt(() => switchboard.request(isBlocked ? 'DELETE' : 'PUT', `/blocks/${user.id}`));
}

/** @param {number} id */
async function leave(id) {
  const consequence = 'What was said there is gone for you, and comes back only from the day on which somebody adds you again.';
  if (!(await confirm('Leave this group?', { consequence, yes: 'Leave', no: 'Stay' }))) return;
  if (await attempt(() => switchboard.request('DELETE', `/conversations/${id}/members/${me().id}`))) go(folderAddress('inbox'));
}

/** @param {HTMLElement} dialog @param {Conversation} conversation */
function drawDetails(dialog, conversation) {
  const { id, kind, user, is_muted, is_archived, members = [], member_count = 0 } = conversation;
  const isGroup = kind === 'group';
  const isOwner = members.some((member) => member.user.id === me().id && member.role === 'owner');
  const name = titleOf(conversation);
  putFace(dialog, face(user?.id ?? id, name));
  find(dialog, '.card .name').textContent = name;
  const there = presenceText(people.presenceOf(user?.id));
  find(dialog, '.card .username').textContent = user ? `@${user.username}${there && ` · ${there}`}` : count(member_count, 'member');
  find(dialog, '#title-form').hidden = !(isGroup && isOwner);
  const label = (/** @type {string} */ does, /** @type {string} */ text, isThere = true) => {
    const button = find(dialog, `[data-does=${does}]`);
    button.textContent = text;
    button.hidden = !isThere;
  };
  label('mute', is_muted ? 'Unmute' : 'Mute');
  label('archive', is_archived ? 'Move to inbox' : 'Archive');
  label('block', blocked.has(user?.id ?? 0) ? 'Unblock' : 'Block', !isGroup && user?.id !== me().id);
  label('leave', 'Leave group', isGroup);
  find(dialog, '.of-group').hidden = !isGroup;
  for (const element of dialog.querySelectorAll('.of-owner')) /** @type {HTMLElement} */ (element).hidden = !isOwner;
  const key = (/** @type {Member} */ { user, role }) => `${user.id} ${role} ${isOwner}`;
  reconcile(find(dialog, '.people'), members, key, (member) => memberRow(id, member, isOwner));
}

/** @param {number} conversation @param {Member} member @param {boolean} isOwner */
function memberRow(conversation, { user, role }, isOwner) {
  const path = `/conversations/${conversation}/members/${user.id}`;
  const name = nameOf(user);
  const button = (/** @type {string} */ text, /** @type {string} */ method, /** @type {object | undefined} */ body = undefined) => {
    const made = make('button', { type: 'button', className: 'quiet', ariaLabel: `${text}: ${name}` }, text);
    made.onclick = () => attempt(() => switchboard.request(method, path, { body }));
    return made;
  };
  const isSelf = user.id === me().id;
  const promote = role === 'owner' ? button('Make member', 'PUT', { role: 'member' }) : button('Make owner', 'PUT', { role: 'owner' });
  const tools = isOwner ? [promote, ...(isSelf ? [] : [button('Remove', 'DELETE')])] : [];
  const names = make('span', { className: 'names' }, foreign('name', isSelf ? `${name} (you)` : name), make('small', { className: 'role' }, role));
  return make('li', {}, face(user.id, name), names, ...tools);
}
