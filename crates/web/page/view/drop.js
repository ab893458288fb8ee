// Files that are dropped on a part of the page.

import { make } from '../dom.js';

/** Whether what is dragged are files, not a text or a link. @param {DragEvent} event */
export const isOfFiles = (event) => event.dataTransfer?.types.includes('Files') ?? false;

/** @param {HTMLElement} host @param {(files: Iterable<File>) => void} receive */
export function receiveFiles(host, receive) {
  const sign = make('div', { className: 'drop', ariaHidden: 'true', hidden: true }, make('p', {}, 'Drop files to attach them'));
  host.append(sign);
  host.addEventListener('dragover', (event) => {
    if (!isOfFiles(event)) return;
    event.preventDefault();
    sign.hidden = false;
  });
  host.addEventListener('dragleave', ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && host.contains(relatedTarget))) sign.hidden = true;
  });
  host.addEventListener('drop', (event) => {
    sign.hidden = true;
    if (!isOfFiles(event)) return;
    event.preventDefault();
    receive(event.dataTransfer?.files ?? []);
  });
}
