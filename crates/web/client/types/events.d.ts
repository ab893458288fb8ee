/**
 * Tells listeners what happens. One that throws disturbs neither the others nor who tells: its error is reported as an
 * uncaught one.
 *
 * @template {Record<string, any>} Events what is told, by name
 */
export class Emitter<Events extends Record<string, any>> {
    /**
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(detail: Events[Name]) => void} listener
     * @returns {() => void} takes the listener away again
     */
    on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
    /**
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {Events[Name]} detail
     */
    emit<Name extends keyof Events>(name: Name, detail: Events[Name]): void;
    #private;
}
