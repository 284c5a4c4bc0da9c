/** Reports one check of `npm run platforms`: its name, whether it is right, and what was found. */
export type Check = (name: string, isRight: boolean, found: string) => void;
