// Reference values from the boots of machines that are known to be good (spec/reference-values.md, "From golden boots"): the PCRs that are
// the same on all devices of one kind, and the digests of all given boots.
import { toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { bootPhases, UNIFIED_IMAGE_PCR } from './boot-phase.ts';
import type { EventLog } from './event-log.ts';
import {
  IMA_PCR,
  type ReferenceEvent,
  referenceEventOf,
  type ReferenceTerms,
  type ReferenceValues,
  referenceValuesOf,
} from './reference-values.ts';
import { describeEventData } from './event-data/describe.ts';
import { type ReplayedLog, replayEventLog } from './replay.ts';
import { isStage, STAGE_PCR, withStagesIn } from './stage-pcr.ts';

export interface GoldenOrder {
  readonly name: string;
  readonly version: string;
  /** Left out: those that are the same on all devices of one kind. */
  readonly pcrs?: readonly number[] | undefined;
  readonly terms?: ReferenceTerms | undefined;
  /** Expects the agent's stages in this PCR, for devices that will measure them there from their next boot on. */
  readonly stagePcr?: number | undefined;
}

export interface GoldenBoots {
  readonly values: ReferenceValues;
  /** PCRs with events that the set does not name, and why. */
  readonly leftOut: readonly { readonly pcr: number; readonly why: string }[];
  /** What an operator should look at before signing, one line each. */
  readonly notes: readonly string[];
}

const perDevice: ReadonlyMap<number, string> = new Map([
  [1, 'settings and boot entries of one machine'],
  [3, 'settings of cards'],
  [5, "the partition table, with its disk's GUID"],
  [6, "events of the machine's maker"],
  [IMA_PCR, 'IMA, whose order does not repeat'],
  [12, 'credentials and command lines given to one machine'],
  [13, 'extensions of one machine'],
  [15, 'machine id, file systems and volume keys of one machine'],
]);

/** Throws `reference-values-invalid` when nothing is left, or when the boots cannot make one set. */
export function referenceValuesFromBoots(logs: readonly EventLog[], order: GoldenOrder): GoldenBoots {
  const boots = logs.map((log) => replayEventLog(log, 'sha256'));
  const startupLocality = commonStart(boots);
  const found = [...new Set(boots.flatMap(({ events }) => events.map(({ pcr }) => pcr)))].sort((a, b) => a - b);
  const pcrs = order.pcrs ?? [
    ...fleetPcrs(found),
    ...(order.stagePcr === undefined && !hasOnlyStages(boots) ? [] : [STAGE_PCR]),
  ];
  const leftOut = order.pcrs === undefined ? found.filter((pcr) => !pcrs.includes(pcr)) : [];
  const merged = found.filter((pcr) => pcrs.includes(pcr)).map((pcr) => mergedPcr(boots, pcr));
  const measured = merged.flatMap(({ events: each }) => each);
  const events = order.stagePcr === undefined ? measured : withStagesIn(measured, order.stagePcr);
  return {
    values: referenceValuesOf(withPhases(events), startupLocality, order.name, order.version, order.terms),
    leftOut: leftOut.map((pcr) => ({ pcr, why: perDevice.get(pcr) ?? unifiedCovers(pcr) })),
    notes: [...merged.flatMap(({ notes }) => notes), ...identifierNotes(boots, pcrs)],
  };
}

function commonStart(boots: readonly ReplayedLog[]): number {
  const starts = [...new Set(boots.map(({ startupLocality }) => startupLocality))];
  const [start = 0, ...others] = starts;
  if (others.length === 0) return start;
  const problem = `PCR 0 starts at ${starts.join(' and ')} on these machines: make a set for each`;
  throw new CoreError('reference-values-invalid', `reference values: ${problem}`);
}

// PCR 15 is the agent's where nothing else measures into it.
function hasOnlyStages(boots: readonly ReplayedLog[]): boolean {
  const events = boots.flatMap((boot) => boot.events.filter(({ pcr }) => pcr === STAGE_PCR));
  return events.length > 0 && events.every(({ eventType, event }) => isStage(describeEventData(eventType, event)));
}

// A unified image is measured as a whole; what its stub and kernel measure besides is the same again.
function fleetPcrs(found: readonly number[]): readonly number[] {
  const kernel = found.includes(UNIFIED_IMAGE_PCR) ? [UNIFIED_IMAGE_PCR] : [8, 9];
  return [0, 2, 4, 7, ...kernel, 14];
}

function unifiedCovers(pcr: number): string {
  return pcr === 8 || pcr === 9 ? 'PCR 11 covers the unified kernel image' : 'not known to be the same on all devices';
}

function mergedPcr(boots: readonly ReplayedLog[], pcr: number) {
  const sequences = boots.map(({ events }) => events.filter((event) => event.pcr === pcr).map(referenceEventOf));
  const [first = [], ...others] = sequences;
  const events = others.reduce<readonly ReferenceEvent[]>(merged, first);
  const notes = events.flatMap((event) => {
    const shown = `PCR ${pcr} "${event.name}"`;
    if (event.optional) return [`${shown} is in some of the boots only: optional`];
    return event.digests.length > 1 ? [`${shown} differs between the boots: ${event.digests.length} digests`] : [];
  });
  return { events, notes };
}

// The longest common subsequence by similarity: what has a partner accepts the digests of both, what has none is optional.
function merged(known: readonly ReferenceEvent[], other: readonly ReferenceEvent[]): readonly ReferenceEvent[] {
  const best: number[][] = Array.from({ length: known.length + 1 }, () =>
    Array.from({ length: other.length + 1 }, () => 0),
  );
  const at = (row: number, column: number) => best[row]?.[column] ?? 0;
  for (let row = known.length - 1; row >= 0; row -= 1) {
    for (let column = other.length - 1; column >= 0; column -= 1) {
      const same = similarity(known[row], other[column]);
      const both = same === 0 ? 0 : same + at(row + 1, column + 1);
      const line = best[row];
      if (line !== undefined) line[column] = Math.max(both, at(row + 1, column), at(row, column + 1));
    }
  }
  const events: ReferenceEvent[] = [];
  let [row, column] = [0, 0];
  while (row < known.length || column < other.length) {
    const [left, right] = [known[row], other[column]];
    const same = similarity(left, right);
    if (left !== undefined && right !== undefined && same > 0 && at(row, column) === same + at(row + 1, column + 1)) {
      events.push({ ...left, digests: [...new Set([...left.digests, ...right.digests])] });
      [row, column] = [row + 1, column + 1];
    } else if (left !== undefined && (right === undefined || at(row + 1, column) >= at(row, column + 1))) {
      events.push({ ...left, optional: true });
      row += 1;
    } else if (right !== undefined) {
      events.push({ ...right, optional: true });
      column += 1;
    }
  }
  return events;
}

function similarity(a: ReferenceEvent | undefined, b: ReferenceEvent | undefined): number {
  if (a === undefined || b === undefined || a.eventType !== b.eventType) return 0;
  if (b.digests.some((digest) => a.digests.includes(digest))) return 4;
  return a.name === b.name ? 3 : 1;
}

function withPhases(events: readonly ReferenceEvent[]): readonly ReferenceEvent[] {
  const last = events.findLastIndex(({ pcr }) => pcr === UNIFIED_IMAGE_PCR);
  if (last === -1) return events;
  const phases = bootPhases.map(({ name, eventType, digest }): ReferenceEvent => {
    return { pcr: UNIFIED_IMAGE_PCR, name, eventType, digests: [toHex(digest)], optional: true };
  });
  return [...events.slice(0, last + 1), ...phases, ...events.slice(last + 1)];
}

const identifier = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|--fs-uuid/i;

// A command line that names a file system by its UUID is that of one machine, unless all disks are copies.
function identifierNotes(boots: readonly ReplayedLog[], pcrs: readonly number[]): readonly string[] {
  const named = boots.flatMap(({ events }) =>
    events.filter(
      ({ pcr, event }) => pcr === 8 && pcrs.includes(8) && identifier.test(Buffer.from(event).toString('latin1')),
    ),
  );
  if (named.length === 0) return [];
  return [
    'PCR 8 names file systems by UUID: only devices whose disks are copies of one image boot the same; name them by label instead',
  ];
}
