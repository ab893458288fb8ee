// Elements: found, made, and kept in line with what they show. Text is only ever set as text.

/**
 * @template {HTMLElement} T
 * @param {string} id of an element of the page
 * @param {{new (): T}} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? HTMLElement))) throw new TypeError(`there is no #${id} of this type`);
  return /** @type {T} */ (element);
}

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} within
 * @param {string} selector of an element that is there
 * @returns {T}
 */
export function find(within, selector) {
  const element = within.querySelector(selector);
  if (!element) throw new TypeError(`there is no ${selector}`);
  return /** @type {T} */ (element);
}

/**
 * A new element. `data` are its `data-` attributes; what is `undefined` is left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any> & {data?: Record<string, string | number>}} [properties]
 * @param {(Node | string | false | undefined)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) if (value !== undefined) Reflect.set(element, name, value);
  for (const [name, value] of Object.entries(data)) element.dataset[name] = String(value);
  element.append(...children.filter((child) => child !== false && child !== undefined));
  return element;
}

/** What stands in a template, with its icons. @param {string} id @returns {DocumentFragment} */
export function clone(id) {
  const content = /** @type {DocumentFragment} */ (byId(id, HTMLTemplateElement).content.cloneNode(true));
  drawIcons(content);
  return content;
}

/** A picture from the set in the page; says nothing to those who do not see it. @param {string} name */
export function icon(name) {
  const picture = /** @type {DocumentFragment} */ (byId('icon-template', HTMLTemplateElement).content.cloneNode(true));
  const use = /** @type {SVGUseElement} */ (picture.querySelector('use'));
  use.href.baseVal = `#i-${name}`;
  return /** @type {SVGElement} */ (picture.firstElementChild);
}

/** Gives what has a `data-icon` its picture. @param {ParentNode} within */
export function drawIcons(within) {
  for (const element of within.querySelectorAll('[data-icon]')) {
    const { icon: name = '' } = /** @type {HTMLElement} */ (element).dataset;
    if (!element.querySelector('.icon')) element.prepend(icon(name));
  }
}

/**
 * A button that shows a picture and is called by what it does.
 *
 * @param {string} name of the picture
 * @param {string} label
 * @param {() => void} act
 */
export function iconButton(name, label, act) {
  const button = make('button', { type: 'button', className: 'round small', ariaLabel: label, title: label }, icon(name));
  button.addEventListener('click', act);
  return button;
}

/** Text of others: its direction is its own, and ends with it. @param {string} className @param {string} text */
export const foreign = (className, text) => make('span', { className, dir: 'auto' }, text);

/**
 * Brings the children of a list in line with its items, one element an item. An element stays as long as its item does, and with
 * it focus and what is open.
 *
 * @template T
 * @param {HTMLElement} list
 * @param {readonly T[]} items
 * @param {(item: T) => number | string} keyOf
 * @param {(item: T) => HTMLElement} create
 * @param {(element: HTMLElement, item: T) => void} [update]
 */
export function reconcile(list, items, keyOf, create, update = () => {}) {
  const keys = new Set(items.map((item) => String(keyOf(item))));
  /** @type {Map<string, HTMLElement>} */
  const present = new Map();
  for (const child of /** @type {HTMLElement[]} */ ([...list.children])) {
    const { key } = child.dataset;
    if (key !== undefined && keys.has(key)) present.set(key, child);
    else child.remove();
  }
  items.forEach((item, at) => {
    const key = String(keyOf(item));
    const element = present.get(key) ?? create(item);
    element.dataset.key = key;
    update(element, item);
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
}

/** Arrow keys, Home and End move the focus among what a selector finds. @param {HTMLElement} within @param {string} selector @param {KeyboardEvent} event */
export function moveFocus(within, selector, event) {
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
  const step = steps[/** @type {keyof typeof steps} */ (event.key)];
  if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = /** @type {HTMLElement[]} */ ([...within.querySelectorAll(selector)]).filter((element) => element.offsetParent !== null);
  const at = all.findIndex((element) => element === document.activeElement);
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** Calls `action` once it was not asked for any more for so long. @param {() => void} action @param {number} ms */
export function debounced(action, ms) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(action, ms);
  };
}
