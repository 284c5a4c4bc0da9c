// One line of `edgekeep hub check`.

/** `failed`: the hub would not start, or not work. `warning`: it works, but an operator should look at it. */
export interface Finding {
  readonly subject: string;
  readonly state: 'ok' | 'warning' | 'failed';
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

export function failed(subject: string, found: string, next: string): Finding {
  return { subject, state: 'failed', found, next };
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
