// The hub's clock as a value, so that tests decide what time it is.

/** Unix milliseconds. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
