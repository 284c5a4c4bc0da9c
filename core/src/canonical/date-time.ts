// Times that people write: days and moments of ISO 8601 (RFC 3339). A time that does not exist is refused and never moved to another day,
// as `Date.parse` does with 30 February. docs/design/identities.md.

const pattern = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:\d{2}))?$/;

/**
 * Unix milliseconds of `2026-11-21` (its beginning in UTC), `2026-11-21T05:00Z`, `2026-11-21T05:00:30Z` or the same with an offset.
 * Undefined for anything else: days that a month does not have, hour 24, leap seconds, which no unix time can express, and offsets of a day
 * or more.
 */
export function parseDateTime(text: string): number | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', zone = 'Z'] = match;
  const asUtc = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(asUtc);
  // The engine moves 31 February to March; a time that does not survive the round trip does not exist.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== asUtc) return undefined;
  const offset = offsetMs(zone);
  return offset === undefined ? undefined : ms - offset;
}

function offsetMs(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
