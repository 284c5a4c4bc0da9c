// One change to one source that breaks one trust decision. `npm run check` must not pass with it: `npm run mutants` tries them all.
// It follows its source: where a decision is written otherwise, `find` and `replace` are as well; where it is gone, so is the mutant.
export interface Mutant {
  /** `subject/what`, for the command line. */
  readonly id: string;
  /** By path from the root of the repository. */
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The property that the mutant breaks. */
  readonly breaks: string;
}
