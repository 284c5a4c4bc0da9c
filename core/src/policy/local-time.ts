// The local time at a site: hour, minute and weekday in its zone, including summer time.

export interface WallTime {
  readonly hour: number;
  readonly minute: number;
  /** 1 is Monday, 7 is Sunday (ISO 8601). */
  readonly weekday: number;
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const millisecondsPerMinute = 60_000;

interface Zone {
  readonly formatter: Intl.DateTimeFormat;
  /** The last answer: every decision of the policy asks, and it is the same for a minute. */
  last: { readonly minute: number; readonly time: WallTime } | undefined;
}

// Making a formatter takes longer than a thousand uses of it; a hub has only a few zones.
const zones = new Map<string, Zone>();
const ZONES_MAX = 1_000;

/**
 * `timeZone` is a name of the IANA database. Since 1972 all of them are whole minutes from UTC; before, the answer is that of the minute's beginning.
 * Throws `RangeError` for a zone that this runtime does not know.
 */
export function wallTime(milliseconds: number, timeZone: string): WallTime {
  const zone = zoneOf(timeZone);
  const minute = Math.floor(milliseconds / millisecondsPerMinute);
  if (zone.last?.minute === minute) return zone.last.time;
  const parts = zone.formatter.formatToParts(minute * millisecondsPerMinute);
  const text = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
  const time = {
    hour: Number(text('hour')),
    minute: Number(text('minute')),
    weekday: weekdays.indexOf(text('weekday')) + 1,
  };
  zone.last = { minute, time };
  return time;
}

function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone);
  if (known !== undefined) return known;
  if (zones.size >= ZONES_MAX) zones.clear();
  const options = { timeZone, hourCycle: 'h23', hour: 'numeric', minute: 'numeric', weekday: 'short' } as const;
  const zone = { formatter: new Intl.DateTimeFormat('en-GB', options), last: undefined };
  zones.set(timeZone, zone);
  return zone;
}
