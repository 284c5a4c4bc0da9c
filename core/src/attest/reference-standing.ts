// Which reference values count for a device at a moment (spec/reference-values.md, "Which sets count"): those that are for it, have begun, have
// not run out, and that no newer release of the same name has superseded.
import { compareVersions } from '../model/version-order.ts';
import type { ReasonCode } from './reason.ts';
import { targetText } from './reference-target.ts';
import type { ReferenceValues } from './reference-values.ts';

export interface PublishedSet {
  readonly set: ReferenceValues;
  readonly publishedAtMs: number;
}

/** A set that does not count, and why: a boot that matches it is named by that. */
export interface FormerSet {
  readonly set: ReferenceValues;
  readonly code: Extract<
    ReasonCode,
    'boot-superseded' | 'boot-below-lowest' | 'boot-expired' | 'boot-not-yet-valid' | 'boot-not-for-device'
  >;
  /** For people. */
  readonly why: string;
}

export interface Standings {
  readonly inForce: readonly ReferenceValues[];
  readonly former: readonly FormerSet[];
  /** The answer is the same until this moment, unless sets or the device change. */
  readonly untilMs: number;
}

/**
 * `published` without those that were withdrawn; `isFor` says of each by its position whether the device is in its target. `graceMs`: how long
 * a set counts after it was superseded.
 */
export function standingsOf(
  published: readonly PublishedSet[],
  isFor: (position: number) => boolean,
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number },
): Standings {
  const targeted = published.filter((_, position) => isFor(position));
  const others = published.filter((_, position) => !isFor(position));
  const inForce: ReferenceValues[] = [];
  const former: FormerSet[] = others.map(({ set }) => notForDevice(set));
  let untilMs = Number.MAX_SAFE_INTEGER;
  for (const own of targeted) {
    const moments = momentsOf(own, targeted, graceMs);
    for (const { atMs } of moments) if (atMs > nowMs) untilMs = Math.min(untilMs, atMs);
    const reason = moments.find(({ atMs, ends }) => (ends ? atMs <= nowMs : atMs > nowMs));
    if (reason === undefined) inForce.push(own.set);
    else former.push({ set: own.set, code: reason.code, why: reason.why });
  }
  return { inForce, former, untilMs };
}

/** The moment at which a set begins to count, and to supersede. */
export function beginsAtMs({ set, publishedAtMs }: PublishedSet): number {
  return Math.max(publishedAtMs, (set.notBefore ?? 0) * 1_000);
}

/** Whether `newer` supersedes `older`, for a device that both are for. A set of a version before 3 supersedes nothing. */
export function supersedes(newer: ReferenceValues, older: ReferenceValues): boolean {
  if (newer.type !== 'edgekeep-reference-values/v3' || newer.name !== older.name) return false;
  return compareVersions(newer.version, older.version) > 0;
}

interface Moment {
  readonly atMs: number;
  /** Whether the set counts until then; otherwise from then on. */
  readonly ends: boolean;
  readonly code: FormerSet['code'];
  readonly why: string;
}

/** When the standing of a set changes; the first that applies is the reason. */
function momentsOf(own: PublishedSet, targeted: readonly PublishedSet[], graceMs: number): readonly Moment[] {
  const { set } = own;
  const newer = targeted.filter((other) => supersedes(other.set, set));
  const moments: Moment[] = newer.flatMap((other) => {
    const lowest = other.set.lowestVersion;
    if (lowest === undefined || compareVersions(set.version, lowest) >= 0) return [];
    const why = `${other.set.name} ${other.set.version} takes no release below ${lowest}`;
    return [{ atMs: beginsAtMs(other), ends: true, code: 'boot-below-lowest', why }];
  });
  for (const other of newer) {
    const atMs = beginsAtMs(other) + graceMs;
    const why = `${other.set.name} ${other.set.version} superseded it, and the grace time ended at ${timeText(atMs)}`;
    moments.push({ atMs, ends: true, code: 'boot-superseded', why });
  }
  if (set.notAfter !== undefined) {
    const atMs = set.notAfter * 1_000;
    moments.push({ atMs, ends: true, code: 'boot-expired', why: `they ran out at ${timeText(atMs)}` });
  }
  if (set.notBefore !== undefined) {
    const atMs = set.notBefore * 1_000;
    moments.push({ atMs, ends: false, code: 'boot-not-yet-valid', why: `they begin at ${timeText(atMs)}` });
  }
  return moments;
}

function notForDevice(set: ReferenceValues): FormerSet {
  const why = `they are for ${targetText(set.target ?? {})}, and this device is not of them`;
  return { set, code: 'boot-not-for-device', why };
}

function timeText(atMs: number): string {
  return new Date(Math.min(atMs, 253_402_300_799_000)).toISOString();
}
