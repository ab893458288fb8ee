export class Tabs {
    /** @param {string} name one a user and service @param {Environment} environment without locks or channels each page is for itself @param {Listener} listener */
    constructor(name: string, environment: Environment, listener: Listener);
    /** Says something to the other pages. @param {any} message */
    post(message: any): void;
    /** Says to the page that leads that this one is there. */
    hello(): void;
    /** Leads as soon as it may, which may be never; until then it looks after the page that does. */
    start(): void;
    close(): void;
    #private;
}
export type Environment = import("./environment.js").Environment;
export type Listener = {
    /**
     * what another page says
     */
    hear: (message: any) => void;
    /**
     * this page does, from now on
     */
    leads: () => void;
    /**
     * another page leads, since this one did not answer
     */
    robbed: () => void;
    /**
     * what this page says of itself to the one that leads
     */
    place: () => object;
};
