// What stands in the WebSocket of a page: it sees each frame, and can lose what is said in either direction.

export class Gate {
  /** Whether what the page says reaches the node, and the other way round, but for the welcome. */
  letsOut = true;
  letsIn = true;
  /** Messages that the page sent, each time it did. */
  sent = [];
  /** The addresses of the connections that there were. */
  urls = [];
  #sockets = [];

  /** Puts one into a page, which is loaded anew. */
  static async into(tab) {
    const gate = new Gate();
    await tab.page.routeWebSocket(/\/ws\/messages\//, (socket) => gate.#open(socket));
    await tab.page.reload();
    await tab.isLive();
    return gate;
  }

  #open(socket) {
    const node = socket.connectToServer();
    this.#sockets.push({ socket, node });
    this.urls.push(new URL(socket.url()));
    socket.onMessage((text) => {
      const frame = JSON.parse(text);
      if (frame.type === 'send_message') this.sent.push(frame);
      if (this.letsOut) node.send(text);
    });
    node.onMessage((text) => (this.letsIn || JSON.parse(text).type === 'welcome') && socket.send(text));
  }

  /** Says something to the page in the node's place. */
  say(frame) {
    this.#sockets.at(-1).socket.send(JSON.stringify(frame));
  }

  /** Ends the connection that there is; the page makes another. */
  async end() {
    await this.#sockets.at(-1).socket.close({ code: 1001 });
  }
}
