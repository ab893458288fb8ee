export function webSocket(api: Api, environment: Environment): Transport;
export function stream(api: Api, environment: Environment): Transport;
export function poll(api: Api, environment: Environment): Transport;
export type Api = import("./http.js").Api;
export type Environment = import("./environment.js").Environment;
export type Log = import("./log.js").Log;
export type Frame = import("./switchboard.js").Frame;
/**
 * How a connection ended.
 */
export type Loss = {
    /**
     * of the close frame
     */
    code?: number | undefined;
    /**
     * of the request that should have opened it
     */
    refusal?: Refusal | undefined;
};
/**
 * What a transport tells. After `closed` it says no more.
 */
export type Line = {
    /**
     * as whom, where no `welcome` says it
     */
    opened: (user: {
        id: number;
    }) => void;
    frame: (frame: Frame) => void;
    /**
     * something came, if no frame
     */
    heard: () => void;
    closed: (loss: Loss) => void;
};
export type Wire = {
    /**
     * ends it without a word
     */
    close: () => void;
    send?: ((frame: object) => void) | undefined;
    /**
     * asks at once instead of later
     */
    hurry?: (() => void) | undefined;
};
export type Transport = {
    name: "websocket" | "stream" | "poll";
    /**
     * whether silence says nothing
     */
    isSilent: boolean;
    open: (log: Log, line: Line) => Wire;
};
import { Refusal } from './http.js';
