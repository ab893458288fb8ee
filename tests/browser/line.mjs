// A line to a node, which can be cut or go silent as a network does.

import net from 'node:net';

export class Line {
  #pairs = new Set();
  #webSockets = new WeakSet();
  #isCut = false;

  static async to(url) {
    const line = new Line();
    const { hostname, port } = new URL(url);
    line.server = net.createServer((near) => line.#join(near, net.connect(Number(port), hostname)));
    await new Promise((resolve) => line.server.listen(0, '127.0.0.1', resolve));
    line.url = `http://127.0.0.1:${line.server.address().port}`;
    return line;
  }

  #join(near, far) {
    const pair = [near, far];
    const end = () => pair.forEach((socket) => socket.destroy());
    for (const socket of pair) socket.on('error', end).on('close', end);
    if (this.#isCut) return end();
    this.#pairs.add(pair);
    near.on('close', () => this.#pairs.delete(pair));
    near.once('data', (head) => {
      if (/^upgrade: *websocket/im.test(head.toString('latin1'))) this.#webSockets.add(pair);
    });
    near.pipe(far).pipe(near);
  }

  /** Ends every connection without a goodbye, and refuses new ones. */
  cut() {
    this.#isCut = true;
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  mend() {
    this.#isCut = false;
  }

  /** The WebSockets that there are stay open, but nothing passes any more. New ones work, and so do requests. */
  silence() {
    for (const pair of this.#pairs) {
      if (!this.#webSockets.has(pair)) continue;
      const [near, far] = pair;
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  close() {
    this.cut();
    this.server.close();
  }
}
