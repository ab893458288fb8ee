// What was begun in the conversations, as the other devices are to have it: told until they have it.

/** @typedef {import('../../client/switchboard.js').Switchboard} Switchboard */

/** What could not be told is told again after so long, in milliseconds. */
const AGAIN_MS = 5_000;

export class Drafts {
  #switchboard;
  /** What they do not have yet, by conversation. @type {Map<number, string>} */
  #untold = new Map();
  /** @type {Set<number>} */
  #underWay = new Set();

  /** @param {Switchboard} switchboard */
  constructor(switchboard) {
    this.#switchboard = switchboard;
  }

  /** The draft of a conversation: what the service says does not count while it is to have another. @param {number} id @param {string} heard */
  get(id, heard) {
    return this.#untold.get(id) ?? heard;
  }

  /** @param {number} id @param {string} draft */
  save(id, draft) {
    this.#untold.set(id, draft);
    this.#tell(id);
  }

  /** The service is there again. */
  retry() {
    for (const id of this.#untold.keys()) this.#tell(id);
  }

  /** @param {number} id */
  async #tell(id) {
    if (this.#underWay.has(id)) return;
    this.#underWay.add(id);
    const draft = this.#untold.get(id);
    let isDone = true;
    await this.#switchboard.request('PUT', `/conversations/${id}/settings`, { body: { draft } }).catch((error) => (isDone = !error.isPassing));
    this.#underWay.delete(id);
    if (!isDone) return void setTimeout(() => this.#untold.has(id) && this.#tell(id), AGAIN_MS);
    if (this.#untold.get(id) === draft) this.#untold.delete(id);
    else this.#tell(id);
  }
}
