/** @typedef {import('./switchboard.js').Frame} Frame */
/** The mailbox as far as this client knows it: each entry is handed over once, in order. */
export class Log {
    /**
     * @param {number} cursor the position of the last entry that is known
     * @param {string} epoch of the mailbox: in another one the same positions mean other entries
     * @param {(entry: Frame) => void} apply told each next entry
     * @param {() => void} reset told that what is known must be loaded anew
     */
    constructor(cursor: number, epoch: string, apply: (entry: Frame) => void, reset: () => void);
    cursor: number;
    epoch: string;
    /**
     * Takes an entry, if it is the next one.
     *
     * @param {Frame & {seq: number}} entry
     * @returns {boolean} false if some before it are missing: then the service has to be asked from the cursor on
     */
    take(entry: Frame & {
        seq: number;
    }): boolean;
    /** @param {{cursor: number, epoch: string}} place */
    reset({ cursor, epoch }: {
        cursor: number;
        epoch: string;
    }): void;
    #private;
}
export function isEntry(frame: Frame): frame is Frame & {
    seq: number;
};
export type Frame = import("./switchboard.js").Frame;
