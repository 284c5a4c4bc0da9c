// One line of the doctor's report.

/** `missing`: something this product can use is not there. `warning`: it works, but weaker than it could. */
export interface Finding {
  readonly subject: string;
  readonly state: 'ok' | 'warning' | 'missing';
  readonly found: string;
  /** What to do about it; absent when all is well. */
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
