// People who have talked for a while, to look at the page with: the operations team and the office of some schools. They
// write over the API; when each message was written is told beside it, since the node knows only of now.

import { Account } from './account.mjs';
import { png } from './picture.mjs';

const MINUTE_MS = 60_000;
/** A time on a day before today, in the browser's own zone. */
const onDay = (daysAgo, time) => {
  const [hours, minutes] = time.split(':').map(Number);
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo, hours, minutes);
};
const ago = (minutes) => new Date(Date.now() - minutes * MINUTE_MS);

export class Scene {
  /** When each message was written, by its id. @type {Map<number, string>} */
  times = new Map();

  /** Makes all of it on a node. */
  static async set(url) {
    const scene = new Scene();
    scene.url = url;
    const people = [
      ['maria', 'Maria Keller', 'maria.keller'],
      ['jonas', 'Jonas Brandt', 'jonas.brandt'],
      ['aisha', 'Aisha Rahman', 'aisha.rahman'],
      ['tom', 'Tom Becker', 'tom.becker'],
      ['noor', 'نور الحداد', 'noor'],
      ['lena', 'Lena', 'lena'],
      ['office', 'School Office', 'office'],
      ['piotr', 'Piotr Wiśniewski', 'piotr'],
      ['long', 'Prof. Dr. Maximiliane Freifrau von und zu Hohenstein-Schillingsfürst', 'hohenstein'],
      ['porter', 'Hassan (porter)', 'porter'],
      ['newcomer', 'Sam Okafor', 'sam.okafor'],
    ];
    for (const [key, fullName, username] of people) scene[key] = await Account.make(url, fullName, username);
    await scene.#older();
    await scene.#group();
    await scene.#thread();
    await scene.#unread();
    return scene;
  }

  /** Somebody says something at a time. */
  async #say(at, from, to, content, more) {
    const message = await from.send(to, content, more);
    this.times.set(message.message_id, at.toISOString());
    return message;
  }

  async #older() {
    const { maria, office, lena, piotr, long, tom, noor, porter } = this;
    await maria.set((await this.#say(onDay(41, '15:20'), porter, maria, 'The keys for the gym are back.')).conversation_id, { is_archived: true });
    await maria.set((await this.#say(onDay(33, '08:05'), maria, lena, 'Thanks, all settled!')).conversation_id, { is_archived: true });
    await this.#say(onDay(9, '11:40'), maria, long, 'Dear Professor, the room for the lecture is booked from 14:00, projector included. Please tell the porter if you need a microphone.', { subject: 'Lecture hall, Thursday' });
    await maria.read(await this.#say(onDay(9, '12:02'), long, maria, 'Splendid. One microphone, please.'));
    await maria.read(await this.#say(onDay(6, '17:12'), piotr, maria, 'Żółta furtka przy boisku znowu się nie zamyka. Can somebody have a look before Monday?'));
    const form = await office.upload('consent-form-2026.pdf', 'application/pdf', Buffer.alloc(183_214, 'x'));
    const menu = await office.upload('Speiseplan KW 48.xlsx', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', Buffer.alloc(24_871, 'x'));
    const files = { subject: 'Forms for the excursion', attachment_ids: [form, menu] };
    await maria.read(await this.#say(onDay(3, '09:15'), office, maria, 'Both as discussed. The form has to be back by Friday: https://school.example/excursion?class=7b', files));
    await maria.read(await this.#say(onDay(2, '16:30'), noor, maria, 'مرحبا ماريا، هل يمكننا نقل الاجتماع إلى الساعة 10:30؟'));
    await this.#say(onDay(2, '16:41'), maria, noor, 'Of course, 10:30 it is.');
    this.failing = (await this.#say(onDay(1, '13:00'), maria, tom, 'Can you send me the serial number of the old switch?')).conversation_id;
    const own = await this.#say(onDay(1, '18:20'), maria, maria, 'To do: certificate for mail.school.example, spare keys, call the electrician');
    await maria.set(own.conversation_id, { draft: 'Also: toner for the second floor' });
  }

  async #group() {
    const { maria, jonas, aisha, tom, piotr, times } = this;
    const group = (this.group = await maria.group('Operations on call', [jonas, aisha, tom, piotr]));
    await maria.set(group, { is_muted: true });
    const alert = await this.#say(onDay(1, '06:48'), jonas, group, 'Disk on backup-2 is at 91 %. I am on the train, can somebody free some space?');
    const taken = await this.#say(onDay(1, '06:55'), aisha, group, 'On it.', { reply_to_id: alert.message_id });
    await this.#say(onDay(1, '07:31'), aisha, group, 'Removed the snapshots of August. 64 % now, and the nightly run starts again at 22:00.\n\nFor next time:\n  zfs list -t snapshot | head\n  zfs destroy -r tank/backup@2026-08');
    const done = await this.#say(onDay(1, '07:33'), maria, group, 'Thank you! I put it into the handbook.', { mention_ids: [aisha.id] });
    for (const who of [maria, jonas, tom]) await who.react(taken, '👍');
    for (const who of [jonas, aisha]) await who.react(done, '🎉');
    await tom.react(done, '❤️');
    await this.#say(ago(190), tom, group, 'The new access points for the library are here. Who has a ladder?');
    const picture = await piotr.upload('view-from-the-roof.png', 'image/png', png(960, 600));
    await this.#say(ago(184), piotr, group, 'Me. And this is why nobody should miss going up to the roof:', { attachment_ids: [picture] });
    await maria.read(await this.#say(ago(182), jonas, group, '😍'));
    const plan = await this.#say(ago(175), maria, group, 'Window for the switch: tonight 21:00 to 21:30. Phones are down for about five minutes.', { subject: 'Maintenance tonight' });
    const edited = 'Window for the switch: tonight 21:30 to 22:00. Phones are down for about five minutes.';
    await maria.request('PATCH', `/messages/${plan.message_id}`, { content: edited });
    for (const who of [jonas, aisha, tom]) await who.read(plan);
    times.set(plan.message_id, ago(175).toISOString());
  }

  async #thread() {
    const { maria, jonas } = this;
    const first = await this.#say(onDay(1, '10:02'), jonas, maria, 'Did the order for the laptops go out?', { subject: 'Laptops for class 9' });
    this.thread = first.conversation_id;
    await this.#say(onDay(1, '10:05'), maria, jonas, 'Yesterday at five. 28 pieces, delivery in about ten days.');
    await this.#say(onDay(1, '10:05'), maria, jonas, 'The invoice goes to the office.');
    const great = await this.#say(onDay(1, '10:11'), jonas, maria, 'Great. Then I prepare the image next week: https://wiki.school.example/images/class-9');
    await maria.react(great, '👍');
    const plan = await jonas.upload('seating-plan.png', 'image/png', png(640, 420));
    const sheet = await jonas.upload('inventory.csv', 'text/csv', Buffer.from('device,room\n'.repeat(400)));
    await maria.read(await this.#say(ago(64), jonas, maria, 'Plan and list of what is there already.', { attachment_ids: [plan, sheet] }));
    await this.#say(ago(58), maria, jonas, 'Perfect. Two of those in room 204 have a broken hinge, I take them out before the others come.', { reply_to_id: great.message_id });
    await maria.read(await this.#say(ago(57), jonas, maria, 'ok'));
    await jonas.read(await this.#say(ago(55), maria, jonas, 'Lunch at half past twelve? 🍕'));
  }

  /** What Maria has not read. */
  async #unread() {
    const { maria, aisha, office } = this;
    await this.#say(ago(31), office, maria, 'A parent called about the excursion and asks for the bus times.');
    await this.#say(ago(30), office, maria, 'Could you call back before noon? 030 555 0142');
    await this.#say(ago(12), aisha, maria, 'Certificate is renewed, valid until next November. I will watch it for a day before I close the ticket, since the last one was not picked up by the proxy on its own.');
  }

  /** What comes while one looks: gives how it is taken back. */
  async news() {
    const { jonas, aisha, tom, group } = this;
    const news = [
      [aisha, await this.#say(ago(4), aisha, group, 'Fine with me. I tell the office about the phones.')],
      [tom, await this.#say(ago(3), tom, group, 'Half past nine works. I bring the ladder **and** cake.')],
      [jonas, await this.#say(ago(1), jonas, group, 'Then it is settled.')],
    ];
    return () => Promise.all(news.map(([who, { message_id }]) => who.request('DELETE', `/messages/${message_id}`)));
  }

  /** Tells pages the times of the scene in place of the node's. */
  async routeTimes(context) {
    const retime = (value) => {
      if (Array.isArray(value)) return value.map(retime);
      if (typeof value !== 'object' || value === null) return value;
      const entries = Object.entries(value).map(([key, item]) => [key, retime(item)]);
      const time = this.times.get(value.message_id);
      return { ...Object.fromEntries(entries), ...(time && value.created_at && { created_at: time }) };
    };
    await context.route(/\/api\/v1\/(conversations|search)/, async (route) => {
      if (route.request().method() !== 'GET') return route.fallback();
      const response = await route.fetch().catch(() => undefined);
      if (!response) return route.abort().catch(() => {});
      const json = await response.json().catch(() => undefined);
      return route.fulfill({ response, ...(json && { json: retime(json) }) }).catch(() => {});
    });
  }
}
