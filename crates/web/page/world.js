// What there is once in a page: the client, and what is known of people and conversations. Who logs out loads the page anew, so
// none of it is ever another user's.

import { Switchboard } from '../client/switchboard.js';
import { Mailbox } from './model/mailbox.js';
import { People } from './model/people.js';

export const switchboard = new Switchboard();
export const people = new People(switchboard);
export const mailbox = new Mailbox(switchboard, people);

/** Who is logged in. Nothing that asks is there before. */
export function me() {
  if (!switchboard.me) throw new TypeError('nobody is logged in');
  return switchboard.me;
}
