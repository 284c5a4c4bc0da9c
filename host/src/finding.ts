// One line of a report about this machine: `edgekeep doctor` and `edgekeep hub check` print it.

export interface Finding {
  readonly subject: string;
  /**
   * `warning`: it works, but weaker than possible, or an operator should look at it. `missing`: a part that this product can use does not
   * exist. `failed`: the program would not start, or not work.
   */
  readonly state: 'ok' | 'warning' | 'missing' | 'failed';
  readonly found: string;
  /** What to do about it; absent when there is no problem. */
  readonly next?: string;
}

export function ok(subject: string, found: string): Finding {
  return { subject, state: 'ok', found };
}

export function warning(subject: string, found: string, next: string): Finding {
  return { subject, state: 'warning', found, next };
}

export function missing(subject: string, found: string, next: string): Finding {
  return { subject, state: 'missing', found, next };
}

export function failed(subject: string, found: string, next: string): Finding {
  return { subject, state: 'failed', found, next };
}

/** For people: the finding in columns, and what to do about it in a line of its own. */
export function findingText({ subject, state, found, next }: Finding): string {
  const first = `${state.padEnd(8)} ${subject.padEnd(16)} ${found}`;
  return next === undefined ? first : `${first}\n${' '.repeat(26)}next: ${next}`;
}
