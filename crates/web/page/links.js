// Addresses in a text become links: only those of the web, only as they are written, and without telling where they were found.

/** Where an address begins, up to the next white space. Bidirectional controls end it: they could show another address. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu;
/** Longer ones are no links. */
const LONGEST = 2048;
/** What ends a sentence rather than an address. */
const TRAILING = '.,;:!?\'"…»”’';

/** Without what belongs to the sentence around it, as a bracket that was opened before it. @param {string} address */
function withoutTail(address) {
  let open = [...address].reduce((n, letter) => n + (letter === '(' ? 1 : letter === ')' ? -1 : 0), 0);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const letter = address[end - 1];
    if (letter === ')' && open < 0) open += 1;
    else if (!TRAILING.includes(letter)) break;
  }
  return address.slice(0, end);
}

/** @param {string} address @returns {URL | undefined} */
function parsed(address) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  // One with a user name looks like another host than it is.
  return url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined;
}

/**
 * A text with links.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function linked(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutTail(match[0].slice(0, LONGEST + 1));
    const url = address.length > LONGEST ? undefined : parsed(address);
    if (!url) continue;
    const link = document.createElement('a');
    // A host in letters that look like others is shown as what it is.
    const isPlain = address.toLowerCase().split('/')[2]?.split(':')[0] === url.hostname;
    Object.assign(link, { href: url.href, target: '_blank', rel: 'noopener noreferrer', textContent: isPlain ? address : url.href });
    parts.push(text.slice(end, match.index), link);
    end = match.index + address.length;
  }
  return [...parts, text.slice(end)].filter((part) => part !== '');
}
