/**
 * @typedef {object} Listener
 * @property {(connection: Connection, user: {id: number}) => void} opened as whom
 * @property {(connection: Connection, frame: Frame) => void} frame
 * @property {(connection: Connection, loss: Loss) => void} closed the last word; not said of one that was closed from here
 */
export class Connection {
    /** @param {Transport} transport @param {Log} log what comes after its cursor is asked for @param {Environment} environment @param {Listener} listener */
    constructor(transport: Transport, log: Log, environment: Environment, listener: Listener);
    isOpen: boolean;
    transport: import("./transports.js").Transport;
    get canSend(): boolean;
    /** @param {object} frame */
    send(frame: object): void;
    /** Finds out soon whether it still lives. @returns {boolean} false if it cannot be asked, as a stream cannot */
    check(): boolean;
    close(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Log = import("./log.js").Log;
export type Frame = import("./switchboard.js").Frame;
export type Transport = import("./transports.js").Transport;
export type Loss = import("./transports.js").Loss;
export type Listener = {
    /**
     * as whom
     */
    opened: (connection: Connection, user: {
        id: number;
    }) => void;
    frame: (connection: Connection, frame: Frame) => void;
    /**
     * the last word; not said of one that was closed from here
     */
    closed: (connection: Connection, loss: Loss) => void;
};
