// The boot of verified evidence against reference values: which set it matches, whether that set covers the boot and counts for this device,
// and the claims that follow.
import { type BootCoverage, coverageOf } from './boot-coverage.ts';
import { matchBoot } from './boot-match.ts';
import type { DiceLayer } from './dice/chain.ts';
import { layerClaims, type LayerMatch, matchDiceBoot } from './dice-appraise.ts';
import type { Reason, ReasonCode } from './reason.ts';
import type { FormerSet } from './reference-standing.ts';
import type { ReferenceValues } from './reference-values.ts';
import type { ReplayedLog } from './replay.ts';
import type { Tier } from './tier.ts';
import { statusOfVector, type TrustStatus, type TrustVector, trustValues } from './trust-vector.ts';

/** What a boot is compared with. */
export interface BootRules {
  /** The device's registered tier; evidence of another kind is a downgrade and refused. */
  readonly tier: Tier;
  /** PCRs of the sha256 bank that must be quoted, ascending. */
  readonly pcrSelection: readonly number[];
  /** Acceptable boots; without any, the result is a warning, never an affirmation. */
  readonly referenceValues: readonly ReferenceValues[];
  /** Sets that do not count for this device now: a boot of one of them is refused by name. */
  readonly formerSets?: readonly FormerSet[] | undefined;
  /**
   * PCRs for which a set must have values, or the boot of a TPM device is not affirmed: for example where the agent's own stages are
   * measured.
   */
  readonly coveredPcrs?: readonly number[] | undefined;
  /** What a set must cover besides; left out: `pc-client`. */
  readonly bootCoverage?: BootCoverage | undefined;
}

export interface ReleaseName {
  readonly name: string;
  readonly version: string;
}

export interface AppraisedBoot {
  readonly status: TrustStatus;
  readonly vector: TrustVector;
  readonly reasons: readonly Reason[];
  /** The set that the boot matches, or the closest one. */
  readonly referenceValues?: ReleaseName;
  /** Only of a boot that was compared as a whole, and matched. */
  readonly release?: ReleaseName;
  /** The set that the boot matches exactly, whether or not it counts now or covers the boot. */
  readonly booted?: ReleaseName;
}

/** Firmware Profile 3.3.4: these PCRs hold settings, variables and tables; the others hold code. */
const configurationPcrs: ReadonlySet<number> = new Set([1, 3, 5, 7]);

/** Of a TPM, or of software that states its boot. */
export function appraiseBoot(rules: BootRules, replayed: ReplayedLog): AppraisedBoot {
  const hardware = rules.tier === 'tpm' ? trustValues.genuineHardware : trustValues.unsafeHardware;
  const identity = { 'instance-identity': trustValues.recognizedInstance, hardware };
  const tierReasons = reasonsOfTier(rules.tier);
  const match =
    matchCovered(rules, replayed) ??
    matchBoot(replayed, rules.referenceValues, rules.pcrSelection) ??
    // Where every set for a device has ended, its boot is still compared: it must not count for more than before.
    matchBoot(replayed, formerListsOf(rules).own, rules.pcrSelection);
  const counts = match !== undefined && rules.referenceValues.includes(match.referenceValues);
  const matched = match?.reasons.length === 0 && counts ? match.referenceValues : undefined;
  const former = matched === undefined ? formerMatch(rules, replayed) : undefined;
  const formerReasons = former === undefined ? [] : [reasonOfFormer(former)];
  const booted = bootedOf(matched, former);
  if (match === undefined) {
    const message =
      'there are no reference values for this device: the boot is proven, but not whether it is an accepted one';
    const reasons = [...formerReasons, ...tierReasons, reason('reference-values-missing', message)];
    return { status: 'warning', vector: identity, reasons };
  }
  const coverage = coverageOf(rules, match.referenceValues);
  const reasons = [...formerReasons, ...match.reasons, ...tierReasons, ...coverage.reasons];
  const claims = bootClaims(match.referenceValues, match.reasons);
  // A contraindicated status stays.
  const executables = Math.max(
    claims.executables ?? 0,
    coverage.warns ? trustValues.unrecognizedExecutables : 0,
    counts ? 0 : trustValues.contraindicatedExecutables,
  );
  const vector = { ...identity, ...claims, ...(executables === 0 ? {} : { executables }) };
  const status = statusOfVector(vector);
  const whole = rules.tier === 'tpm' && status === 'affirming' && coverage.reasons.length === 0;
  const referenceValues = nameOf(match.referenceValues);
  return { status, vector, reasons, referenceValues, ...booted, ...(whole ? { release: referenceValues } : {}) };
}

function nameOf({ name, version }: ReferenceValues): ReleaseName {
  return { name, version };
}

function bootedOf(matched: ReferenceValues | undefined, former: FormerSet | undefined): Pick<AppraisedBoot, 'booted'> {
  const set = matched ?? (former?.code === 'boot-not-for-device' ? undefined : former?.set);
  return set === undefined ? {} : { booted: nameOf(set) };
}

function reasonsOfTier(tier: Tier): readonly Reason[] {
  if (tier === 'tpm') return [];
  const states = "an attacker who controls the device's software can";
  if (tier === 'secure-element') {
    const message = `the tier is ${tier}: its keys cannot be copied, but ${states} make them state any boot`;
    return [reason('measured-by-software', message)];
  }
  return [reason('software-root-of-trust', `the tier is ${tier}: ${states} state any boot`)];
}

// Lists are kept, so that what is known of a log and a list is found again.
const formerLists = new WeakMap<
  readonly FormerSet[],
  { all: readonly ReferenceValues[]; own: readonly ReferenceValues[] }
>();

function formerListsOf({ formerSets = noFormerSets }: BootRules) {
  const known = formerLists.get(formerSets);
  if (known !== undefined) return known;
  const own = formerSets.filter(({ code }) => code !== 'boot-not-for-device').map(({ set }) => set);
  const lists = { all: formerSets.map(({ set }) => set), own };
  formerLists.set(formerSets, lists);
  return lists;
}
const noFormerSets: readonly FormerSet[] = [];

/** The set of which a boot is that no set in force accepts. */
function formerMatch(rules: BootRules, replayed: ReplayedLog): FormerSet | undefined {
  const match = matchBoot(replayed, formerListsOf(rules).all, rules.pcrSelection);
  return match?.reasons.length === 0 ? formerOf(rules, match.referenceValues) : undefined;
}

function formerOf({ formerSets = [] }: BootRules, wanted: ReferenceValues): FormerSet | undefined {
  return formerSets.find(({ set }) => set === wanted);
}

function reasonOfFormer({ set, code, why }: FormerSet): Reason {
  return reason(code, `the boot is that of ${set.name} ${set.version}, whose reference values do not count: ${why}`);
}

// Of several sets that match a boot, one that covers the required PCRs wins.
function matchCovered(rules: BootRules, replayed: ReplayedLog): ReturnType<typeof matchBoot> {
  const match = matchBoot(replayed, coveringSets(rules), rules.pcrSelection);
  return match?.reasons.length === 0 ? match : undefined;
}

// The last answer about a list of sets. It is the same list each time, so that what is known of a log and this list is found again.
const covering = new WeakMap<
  readonly ReferenceValues[],
  { readonly pcrs: readonly number[] | undefined; readonly sets: readonly ReferenceValues[] }
>();

function coveringSets(rules: BootRules): readonly ReferenceValues[] {
  const { referenceValues, coveredPcrs: pcrs } = rules;
  if (rules.tier !== 'tpm') return referenceValues;
  const last = covering.get(referenceValues);
  if (last !== undefined && last.pcrs === pcrs) return last.sets;
  const sets = referenceValues.filter((set) => coverageOf(rules, set).reasons.length === 0);
  covering.set(referenceValues, { pcrs, sets });
  return sets;
}

/** Of a DICE device. The vector's `hardware` is always affirmed here: a chain that ends at no trusted root was refused before. */
export function appraiseLayers(rules: BootRules, replayed: ReplayedLog, layers: readonly DiceLayer[]): AppraisedBoot {
  const { recognizedInstance, genuineHardware, contraindicatedExecutables } = trustValues;
  const identity = { 'instance-identity': recognizedInstance, hardware: genuineHardware };
  const matchOf = (sets: readonly ReferenceValues[]) => matchDiceBoot(layers, replayed, sets, rules.pcrSelection);
  const current = matchOf(rules.referenceValues);
  const match = current ?? matchOf(formerListsOf(rules).own);
  const matched = fits(current) ? current?.referenceValues : undefined;
  const old = matched === undefined ? matchOf(formerListsOf(rules).all) : undefined;
  const former = old !== undefined && fits(old) ? formerOf(rules, old.referenceValues) : undefined;
  const formerReasons = former === undefined ? [] : [reasonOfFormer(former)];
  if (match === undefined) {
    const message =
      'there are no reference values with layers for this device: the boot is proven, but not whether it is an accepted one';
    const reasons = [...formerReasons, reason('reference-values-missing', message)];
    return { status: 'warning', vector: identity, reasons };
  }
  const referenceValues = nameOf(match.referenceValues);
  const reasons = [...formerReasons, ...match.reasons, ...match.bootReasons];
  const byLayers = layerClaims(match.reasons);
  const byEvents = bootClaims(match.referenceValues, match.bootReasons);
  const claims = {
    configuration: Math.max(byLayers.configuration ?? 0, byEvents.configuration ?? 0),
    executables: Math.max(
      byLayers.executables ?? 0,
      byEvents.executables ?? 0,
      current === undefined ? contraindicatedExecutables : 0,
    ),
  };
  const vector = { ...identity, ...claims };
  const status = statusOfVector(vector);
  const release = matched !== undefined && status === 'affirming' ? { release: nameOf(matched) } : {};
  return { status, vector, reasons, referenceValues, ...bootedOf(matched, former), ...release };
}

function fits(match: LayerMatch | undefined): boolean {
  return match !== undefined && match.reasons.length + match.bootReasons.length === 0;
}

function bootClaims(values: ReferenceValues, reasons: readonly Reason[]): TrustVector {
  const failed = reasons.map(({ pcr }) => pcr ?? -1);
  const covered = values.events.map(({ pcr }) => pcr);
  const isConfiguration = (pcr: number) => configurationPcrs.has(pcr);
  const isCode = (pcr: number) => !configurationPcrs.has(pcr);
  const { approvedConfiguration, unsupportableConfiguration, approvedBoot, contraindicatedExecutables, none } =
    trustValues;
  return {
    configuration: failed.some(isConfiguration)
      ? unsupportableConfiguration
      : covered.some(isConfiguration)
        ? approvedConfiguration
        : none,
    executables: failed.some(isCode) ? contraindicatedExecutables : covered.some(isCode) ? approvedBoot : none,
  };
}

function reason(code: ReasonCode, message: string): Reason {
  return { code, message };
}
