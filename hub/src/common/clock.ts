// The hub's clock as a value, so that tests set the time.

/** Unix milliseconds. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
