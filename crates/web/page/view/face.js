// What stands for somebody who has no picture: their initials on a colour of their own.

import { make } from '../dom.js';
import { initials } from '../format.js';

const HUES = 8;

/** The colour of somebody's name and face, as a class. @param {number} id */
export const hue = (id) => `hue-${id % HUES}`;

/**
 * @param {number} id of the user or group
 * @param {string} name
 * @param {'online' | 'away' | 'offline'} [status]
 */
export function face(id, name, status) {
  const made = make('span', { className: `face ${hue(id)}`, ariaHidden: 'true', data: { initials: initials(name) } });
  if (status) made.dataset.status = status;
  return made;
}

/** Puts a face in the place of another. @param {ParentNode} within @param {HTMLElement} made */
export function putFace(within, made) {
  within.querySelector('.face')?.replaceWith(made);
}
