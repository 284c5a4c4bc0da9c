// Which PCRs reference values must name, so that a boot which fits them was compared (spec/reference-values.md, "Coverage"): a set that names
// one PCR says nothing of the system that extended it.
import type { Reason } from './reason.ts';
import type { ReferenceValues } from './reference-values.ts';
import { coversPcr } from './stage-pcr.ts';
import type { Tier } from './tier.ts';

/** Firmware, cards, loaders and Secure Boot policy (PC Client Platform Firmware Profile 1.06, section 3.3.4). */
const firmwarePcrs: readonly (readonly [number, string])[] = [
  [0, 'the firmware'],
  [2, 'the firmware of cards'],
  [4, 'the loaders'],
  [7, 'the Secure Boot policy'],
];
/** What GRUB measures: its commands with the command line of the kernel, and the files that it reads. */
const grubPcrs = [8, 9] as const;
/** What systemd-stub measures: the sections of a unified kernel image. */
const unifiedImagePcr = 11;

/**
 * `pc-client`: a set must cover firmware, loaders, Secure Boot policy and kernel. `listed`: only the PCRs that the verifier lists, for boards
 * whose firmware measures elsewhere.
 */
export const bootCoverages = ['pc-client', 'listed'] as const;
export type BootCoverage = (typeof bootCoverages)[number];

/** What `values` do not cover, for people; empty when a boot that matches was compared. */
export function uncoveredBoot({ events }: Pick<ReferenceValues, 'events'>): readonly string[] {
  const covered = new Set(events.filter(({ optional }) => optional !== true).map(({ pcr }) => pcr));
  const open = firmwarePcrs.filter(([pcr]) => !covered.has(pcr)).map(([pcr, what]) => `PCR ${pcr} (${what})`);
  if (covered.has(unifiedImagePcr) || grubPcrs.every((pcr) => covered.has(pcr))) return open;
  return [...open, 'PCR 8 and 9 (the kernel that GRUB started), or PCR 11 (the unified kernel image)'];
}

/** Sets of the version before are taken as they were, for one step (docs/upgrading.md): what they do not cover is said, and no more. */
export function isFormerSet({ type }: Pick<ReferenceValues, 'type'>): boolean {
  return type === 'edgekeep-reference-values/v1';
}

export interface CoverageRules {
  readonly tier: Tier;
  /** PCRs that must be covered besides the boot, for example where the agent's own stages are measured. */
  readonly coveredPcrs?: readonly number[] | undefined;
  /** Left out: `pc-client`. */
  readonly bootCoverage?: BootCoverage | undefined;
}

interface Coverage {
  /** What the set says nothing of. */
  readonly reasons: readonly Reason[];
  /** Whether a boot that fits the set is no more than a warning. */
  readonly warns: boolean;
}

/** Only a TPM says what booted: of another tier the boot is a claim, and its status is a warning at best. */
export function coverageOf({ tier, coveredPcrs = [], bootCoverage }: CoverageRules, set: ReferenceValues): Coverage {
  if (tier !== 'tpm') return { reasons: [], warns: false };
  const shown = `${set.name} ${set.version}`;
  const listed = coveredPcrs
    .filter((pcr) => !coversPcr(set, pcr))
    .map((pcr): Reason => {
      const message = `PCR ${pcr} must be covered, but the reference values ${shown} do not cover it: which agent runs is not known`;
      return { code: 'pcr-not-covered', message, pcr };
    });
  const open = bootCoverage === 'listed' ? [] : uncoveredBoot(set);
  if (open.length === 0) return { reasons: listed, warns: listed.length > 0 };
  const message = `the boot is not compared as a whole: the reference values ${shown} do not cover ${open.join(', ')}`;
  const warns = listed.length > 0 || !isFormerSet(set);
  return { reasons: [...listed, { code: 'boot-not-covered', message }], warns };
}
