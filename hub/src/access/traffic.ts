// The request rate of each device, and its ratio to the usual rate: what a policy reads as `context.traffic`. Each node keeps it in memory
// for the requests that it served.

import { LruMap } from 'toad-cache';

interface Counts {
  /** Start of the current minute. */
  minuteMs: number;
  current: number;
  previous: number;
  /** Requests per minute: an exponential mean with a half-life of about two hours. */
  usual: number;
  minutesSeen: number;
}

export interface TrafficNow {
  readonly lastMinute: number;
  /** 100 until the usual rate is known, and where it is zero. */
  readonly percentOfUsual: number;
}

const minute = 60_000;
// About 200 bytes each. Above this number the device that was quiet longest starts over.
const DEVICES_MAX = 200_000;
const minutesToLearn = 10;
const weightOfAMinute = 1 / 180;
// After an hour without requests, more idle time adds nothing to the mean.
const QUIET_MINUTES_MAX = 60;
const PERCENT_MAX = 1_000_000;

export class Traffic {
  readonly #counts = new LruMap<Counts>(DEVICES_MAX);

  note(deviceId: string, nowMs: number): void {
    const known = this.#counts.get(deviceId);
    const counts = known ?? { minuteMs: nowMs, current: 0, previous: 0, usual: 0, minutesSeen: 0 };
    advance(counts, nowMs);
    counts.current += 1;
    this.#counts.set(deviceId, counts);
  }

  of(deviceId: string, nowMs: number): TrafficNow {
    const counts = this.#counts.get(deviceId);
    if (counts === undefined) return { lastMinute: 0, percentOfUsual: 100 };
    advance(counts, nowMs);
    const { current, previous, minuteMs, usual, minutesSeen } = counts;
    // The part of the previous minute that lies within the last sixty seconds.
    const share = Math.max(0, 1 - (nowMs - minuteMs) / minute);
    const lastMinute = Math.round(current + previous * share);
    if (minutesSeen < minutesToLearn || usual === 0) return { lastMinute, percentOfUsual: 100 };
    return { lastMinute, percentOfUsual: Math.min(PERCENT_MAX, Math.round((lastMinute * 100) / usual)) };
  }
}

function advance(counts: Counts, nowMs: number): void {
  const passed = Math.floor((nowMs - counts.minuteMs) / minute);
  // The clock was set back: the current minute starts now, or it would not end until the clock has caught up.
  if (passed < 0) counts.minuteMs = nowMs;
  if (passed <= 0) return;
  for (let each = 0; each < Math.min(passed, QUIET_MINUTES_MAX); each += 1) {
    const seen = each === 0 ? counts.current : 0;
    counts.minutesSeen += 1;
    // The first minutes count in full, so that the mean does not start at zero.
    counts.usual += (seen - counts.usual) * Math.max(weightOfAMinute, 1 / counts.minutesSeen);
  }
  counts.previous = passed === 1 ? counts.current : 0;
  counts.current = 0;
  counts.minuteMs += passed * minute;
}
