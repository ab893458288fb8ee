// Where messages wait that the service does not have yet.

/** @typedef {import('./outbox.js').Outgoing} Outgoing */

/**
 * Messages in the order in which they were written, each with an `id` of its own.
 *
 * @typedef {object} Storage
 * @property {boolean} isShared whether all pages of this user in this browser see the same
 * @property {() => Promise<Outgoing[]>} load
 * @property {(item: Outgoing) => Promise<void>} put adds a message behind the others, or replaces the one with its id
 * @property {(id: string) => Promise<void>} remove
 * @property {() => void} close
 */

/** Forgotten with the page. @returns {Storage} */
export function inMemory() {
  /** @type {Map<string, Outgoing>} */
  const items = new Map();
  return {
    isShared: false,
    load: async () => [...items.values()],
    put: async (item) => void items.set(item.id, { ...item }),
    remove: async (id) => void items.delete(id),
    close: () => {},
  };
}

/**
 * Outlives the page, in IndexedDB.
 *
 * @param {IDBFactory} factory
 * @param {string} name of the database: one a user and service
 * @returns {Promise<Storage>}
 */
export async function inDatabase(factory, name) {
  const opening = factory.open(name, 1);
  opening.onupgradeneeded = () => {
    // The key counts up, so that the order is that of writing, in whatever page.
    opening.result.createObjectStore('outbox', { keyPath: 'place', autoIncrement: true }).createIndex('id', 'id', { unique: true });
  };
  const database = await answer(opening);
  // Another version of this program wants to change it.
  database.onversionchange = () => database.close();

  /** @template T @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => Promise<T>} work */
  const transact = async (mode, work) => {
    const transaction = database.transaction('outbox', mode, { durability: 'strict' });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
    const [result] = await Promise.all([work(transaction.objectStore('outbox')), done]);
    return result;
  };
  return {
    isShared: true,
    load: () => transact('readonly', (store) => answer(store.getAll())),
    put: (item) =>
      transact('readwrite', async (store) => {
        const place = await answer(store.index('id').getKey(item.id));
        await answer(store.put(place === undefined ? item : { ...item, place }));
      }),
    remove: (id) =>
      transact('readwrite', async (store) => {
        const place = await answer(store.index('id').getKey(id));
        if (place !== undefined) await answer(store.delete(place));
      }),
    close: () => database.close(),
  };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
