/** @typedef {import('./environment.js').Environment} Environment */
export class Tabs {
    /**
     * @param {string} name one a user and service
     * @param {Environment} environment without locks or channels each page is for itself
     * @param {(message: any) => void} hear told what other pages say
     */
    constructor(name: string, environment: Environment, hear: (message: any) => void);
    /** Says something to the other pages. @param {any} message */
    post(message: any): void;
    /** Waits until this page leads, which may be never: until it closes, or the one that leads does. @returns {Promise<void>} */
    lead(): Promise<void>;
    close(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
