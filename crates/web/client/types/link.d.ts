export class Link {
    /** @param {Transport[]} transports the best first @param {Log} log @param {Environment} environment @param {Listener} listener */
    constructor(transports: Transport[], log: Log, environment: Environment, listener: Listener);
    start(): void;
    stop(): void;
    /** @param {object} frame @returns {boolean} whether it is on its way */
    send(frame: object): boolean;
    /** The network or the machine woke up: look at once how things stand. */
    nudge(): void;
    /** The network is gone, as far as is known. */
    went(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Refusal = import("./http.js").Refusal;
export type Log = import("./log.js").Log;
export type Frame = import("./switchboard.js").Frame;
export type State = import("./switchboard.js").State;
export type Transport = import("./transports.js").Transport;
export type Loss = import("./transports.js").Loss;
export type Listener = {
    state: (state: State) => void;
    /**
     * what is no entry
     */
    frame: (frame: Frame) => void;
    /**
     * requests may be sent again
     */
    opened: () => void;
    /**
     * whether this is the user whose mailbox it is
     */
    isOurs: (user: {
        id: number;
    }) => boolean;
    /**
     * asks over HTTP who this is; throws a `Refusal` if that is not answered
     */
    probe: () => Promise<void>;
    /**
     * gets new credentials, if there are others
     */
    renew: () => Promise<boolean>;
};
