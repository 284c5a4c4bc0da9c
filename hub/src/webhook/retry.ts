// When an attempt follows another one: the schedule that Standard Webhooks 1.0.0 gives as its example, over three days.

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Before each attempt after the first. */
const delaysMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour];
/** What a receiver may ask for in `Retry-After`. */
const RETRY_AFTER_MAX_MS = 24 * hour;
/** Jitter only adds: two failures are not nearer to each other than the schedule says. */
const JITTER = 0.1;

/** Milliseconds until the next attempt after `attempts`; undefined after the last one. `random` is in [0, 1). */
export function retryDelayMs(
  attempts: number,
  { random, retryAfterMs = 0 }: { readonly random: number; readonly retryAfterMs?: number | undefined },
): number | undefined {
  const delay = delaysMs[attempts - 1];
  if (delay === undefined) return undefined;
  return Math.round(Math.max(delay * (1 + random * JITTER), Math.min(retryAfterMs, RETRY_AFTER_MAX_MS)));
}

/** RFC 9110 section 10.2.3: seconds, or a date; anything else asks for nothing. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * second;
  // IMF-fixdate, the one form that senders may write.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
