// One line of the doctor's report.

/** `missing`: a part that this product can use does not exist. `warning`: it works, but weaker than possible. */
export interface Finding {
  readonly subject: string;
  readonly state: 'ok' | 'warning' | 'missing';
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
