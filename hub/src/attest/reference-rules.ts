// What the hub publishes: a set that can match a boot, now or later (spec/reference-values.md, "What a hub refuses to publish").
import { type BootCoverage, isFormerSet, uncoveredBoot } from '@edgekeep/core/attest/boot-coverage';
import { beginsAtMs, type PublishedSet, standingsOf, supersedes } from '@edgekeep/core/attest/reference-standing';
import { neverQuoted, type ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { compareVersions } from '@edgekeep/core/model/version-order';
import { HubError } from '../common/error.ts';

export interface PublishingRules {
  /** What every quote covers. */
  readonly pcrs: readonly number[];
  readonly attestation: { readonly bootCoverage: BootCoverage; readonly supersededGraceSeconds: number };
}

/** What a set does not cover of the boot, for people; empty where that is not asked for. */
export function uncoveredBy(set: ReferenceValues, { attestation }: PublishingRules): readonly string[] {
  // DICE layers say what booted themselves.
  if (set.layers !== undefined || attestation.bootCoverage === 'listed') return [];
  return uncoveredBoot(set);
}

// A set that no boot can match would only be noticed by devices that are refused.
/** Throws `reference-values-refused`, for what the set itself says. */
export function assertMatchable(set: ReferenceValues, rules: PublishingRules, nowMs: number): void {
  const never = neverQuoted(set, rules.pcrs);
  if (never.length > 0) {
    const message = `no boot can match: PCR ${never.join(', ')} is never quoted, this hub asks for ${rules.pcrs.join(',')} (the setting pcrs)`;
    throw refusedSet(set, 'pcr-not-quoted', message);
  }
  const open = uncoveredBy(set, rules);
  if (isFormerSet(set) && open.length > 0) {
    const message = `it does not cover ${open.join(', ')}, and its version ${set.type} would have it affirmed: make it again with \`edgekeep attest reference\``;
    throw refusedSet(set, 'boot-not-covered', message);
  }
  if (set.notAfter !== undefined && set.notAfter * 1_000 <= nowMs) {
    const message = `no boot can match: it ran out at ${new Date(set.notAfter * 1_000).toISOString()}`;
    throw refusedSet(set, 'boot-expired', message);
  }
}

/** Throws `reference-values-refused` for a set that `others`, in force or published to be, have superseded, with the grace time over. */
export function assertNotPast(
  own: PublishedSet,
  others: readonly PublishedSet[],
  { attestation }: PublishingRules,
): void {
  const { set, publishedAtMs: nowMs } = own;
  const alike = others.find(
    (other) => other.set.name === set.name && compareVersions(other.set.version, set.version) === 0,
  );
  if (alike !== undefined) {
    const message = `${set.version} is ${alike.set.version}, which is published, in another spelling: neither is newer`;
    throw refusedSet(set, 'version-alike', message);
  }
  const [former] = standingAmong(own, others, attestation.supersededGraceSeconds * 1_000, nowMs);
  if (former?.code === 'boot-below-lowest' || former?.code === 'boot-superseded')
    throw refusedSet(set, former.code, `no boot can match: ${former.why}`);
}

/** Why a set does not count for any device of its target; nothing where it does, or begins later. */
export function standingAmong(own: PublishedSet, others: readonly PublishedSet[], graceMs: number, nowMs: number) {
  // One for a part of the devices supersedes it for that part only.
  const wider = others.filter(({ set }) => supersedes(set, own.set) && coversTarget(set, own.set));
  const everyDevice = [own, ...wider].map(({ set, publishedAtMs }) => ({
    set: { ...set, target: undefined },
    publishedAtMs,
  }));
  const { former } = standingsOf(everyDevice, () => true, { nowMs, graceMs });
  return former.filter(({ set }) => set.version === own.set.version);
}

/** The set that supersedes `own` first, for every device of its target, and the moment at which the grace time ends. */
export function supersededBy(
  own: PublishedSet,
  others: readonly PublishedSet[],
  graceMs: number,
): { readonly set: ReferenceValues; readonly atMs: number } | undefined {
  return others
    .filter(({ set }) => supersedes(set, own.set) && coversTarget(set, own.set))
    .map((other) => ({ set: other.set, atMs: beginsAtMs(other) + graceMs }))
    .toSorted((a, b) => a.atMs - b.atMs)[0];
}

function coversTarget(newer: ReferenceValues, older: ReferenceValues): boolean {
  return newer.target === undefined || JSON.stringify(newer.target) === JSON.stringify(older.target);
}

export function refusedSet({ name, version }: ReferenceValues, code: string, problem: string): HubError {
  const message = `the reference values ${name} ${version} are not published: ${problem}`;
  return new HubError('reference-values-refused', message, { reasons: [{ code, message: problem }] });
}
