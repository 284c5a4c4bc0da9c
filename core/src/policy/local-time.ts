// The time on a site's wall: hour, minute and weekday in its zone, summer time included.

export interface WallTime {
  readonly hour: number;
  readonly minute: number;
  /** 1 is Monday, 7 is Sunday (ISO 8601). */
  readonly weekday: number;
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
// Making a formatter takes longer than a thousand uses of it; a hub has a few zones.
const formatters = new Map<string, Intl.DateTimeFormat>();
const FORMATTERS_MAX = 1_000;

/** `timeZone` is a name of the IANA database. Throws `RangeError` for one that this runtime does not know. */
export function wallTime(milliseconds: number, timeZone: string): WallTime {
  const parts = formatterOf(timeZone).formatToParts(milliseconds);
  const text = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
  return {
    hour: Number(text('hour')),
    minute: Number(text('minute')),
    weekday: weekdays.indexOf(text('weekday')) + 1,
  };
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  if (formatters.size >= FORMATTERS_MAX) formatters.clear();
  const options = { timeZone, hourCycle: 'h23', hour: 'numeric', minute: 'numeric', weekday: 'short' } as const;
  const formatter = new Intl.DateTimeFormat('en-GB', options);
  formatters.set(timeZone, formatter);
  return formatter;
}
