// What stands before the nodes, as a balancer or a company's proxy would: one origin, whichever node answers. Also serves pages
// of the test's own.

import http from 'node:http';
import net from 'node:net';

export class Front {
  /** Whether it lets no WebSocket through, and holds back streams, as some proxies do. */
  isOldFashioned = false;
  /** Sockets of the WebSockets that stand. */
  webSockets = new Set();
  #node;
  #pages = new Map();
  #all = new Set();
  /** @type {Set<net.Socket>} */
  #silent = new Set();

  static async to(node) {
    const front = new Front();
    front.#node = new URL(node);
    front.server = http.createServer((request, response) => front.#serve(request, response));
    front.server.on('upgrade', (request, socket, head) => front.#upgrade(request, socket, head));
    front.server.on('connection', (socket) => {
      front.#all.add(socket);
      socket.on('error', () => {}).on('close', () => front.#all.delete(socket));
    });
    await new Promise((resolve) => front.server.listen(0, '127.0.0.1', resolve));
    front.url = `http://127.0.0.1:${front.server.address().port}`;
    return front;
  }

  /** Serves a page at a path. */
  page(path, html) {
    this.#pages.set(path, html);
  }

  /** Sends what comes from now on to another node. */
  turnTo(node) {
    this.#node = new URL(node);
  }

  /** Nothing passes over the WebSockets that stand any more, and nobody is told. */
  silence() {
    for (const socket of this.webSockets) {
      this.#silent.add(socket);
      this.webSockets.delete(socket);
      socket.pause();
      socket.peer.pause();
    }
  }

  #serve(request, response) {
    const html = this.#pages.get(request.url);
    if (html !== undefined) return response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
    const { hostname, port } = this.#node;
    const options = { hostname, port, path: request.url, method: request.method, headers: request.headers };
    const onward = http.request(options, (answer) => {
      if (this.isOldFashioned && answer.headers['content-type'] === 'text/event-stream') return answer.resume();
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.headersSent ? response.destroy() : response.writeHead(502).end());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }

  #upgrade(request, near, head) {
    if (this.isOldFashioned) return near.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    const far = net.connect(Number(this.#node.port), this.#node.hostname);
    const fields = request.rawHeaders.reduce((text, field, at) => text + field + (at % 2 ? '\r\n' : ': '), '');
    far.write(`${request.method} ${request.url} HTTP/1.1\r\n${fields}\r\n`);
    far.write(head);
    near.peer = far;
    this.webSockets.add(near);
    const end = () => {
      this.webSockets.delete(near);
      if (!this.#silent.has(near)) near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
    near.pipe(far).pipe(near);
  }

  /** Ends every connection without a goodbye. */
  cut() {
    for (const socket of this.#all) socket.resetAndDestroy();
  }

  close() {
    this.cut();
    this.server.close();
  }
}
