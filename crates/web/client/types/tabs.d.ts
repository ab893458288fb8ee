/** @typedef {import('./environment.js').Environment} Environment */
export class Tabs {
    /**
     * @param {string} name one a user and service
     * @param {Environment} environment without locks or channels each page is for itself
     * @param {(message: any) => void} hear told what other pages say
     * @param {() => void} robbed told that another page leads, since this one did not answer
     */
    constructor(name: string, environment: Environment, hear: (message: any) => void, robbed: () => void);
    /** Says something to the other pages. @param {any} message */
    post(message: any): void;
    /** Whether there may be another page that leads. */
    get areMany(): boolean;
    /**
     * Waits until this page leads, which may be never: until it closes, or the one that leads does.
     *
     * @param {boolean} [steals] takes the lead from a page that does not answer
     * @returns {Promise<void>}
     */
    lead(steals?: boolean): Promise<void>;
    close(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
