// Reference values: the expected events of a boot, in order, PCR by PCR, and the layers of a DICE device. They come from a signed release;
// this file reads, writes and derives them. Format: spec/reference-values.md.
import { z } from 'zod';
import { toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { compareVersions } from '../model/version-order.ts';
import { type ReferenceLayer, referenceLayersSchema } from './dice/reference-layer.ts';
import type { EventLog } from './event-log.ts';
import { type ReferenceTarget, referenceTargetSchema } from './reference-target.ts';
import { describeEventData } from './event-data/describe.ts';
import { eventTypeName } from './event-type.ts';
import { type ExtendedEvent, replayEventLog } from './replay.ts';

export const REFERENCE_VALUES_BYTES_MAX = 512 * 1024;
const EVENTS_MAX = 1024; // real boots log 30 to 200 events
const DIGESTS_MAX = 64; // acceptable builds of one component
/** Software on the device can reset these (PC Client Platform TPM Profile 4.6.2): their values prove nothing. */
const resettablePcrs: ReadonlySet<number> = new Set([16, 23]);

/** Where Linux IMA measures: the order of its entries never repeats, so no reference values can cover it. */
export const IMA_PCR = 10;

export interface ReferenceEvent {
  readonly pcr: number;
  /** For people: what this event measures. */
  readonly name: string;
  readonly eventType: number;
  /** Acceptable SHA-256 digests, hex. */
  readonly digests: readonly string[];
  readonly optional?: true | undefined;
}

/** When a set counts, and for which devices. Left out: always, and for all. */
export interface ReferenceTerms {
  /** No older release of this name counts, from the moment at which this set does. */
  readonly lowestVersion?: string | undefined;
  /** Unix seconds. */
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
  readonly target?: ReferenceTarget | undefined;
}

export interface ReferenceValues extends ReferenceTerms {
  /** Version 1 says nothing of PCR 0's start; see `isFormerSet`. Versions before 3 have no terms, and supersede nothing. */
  readonly type: 'edgekeep-reference-values/v1' | 'edgekeep-reference-values/v2' | 'edgekeep-reference-values/v3';
  readonly name: string;
  readonly version: string;
  readonly bank: 'sha256';
  readonly events: readonly ReferenceEvent[];
  /** The last octet that PCR 0 begins with; left out for 0. */
  readonly startupLocality?: number | undefined;
  /** Of DICE devices; a set without them accepts none. */
  readonly layers?: readonly ReferenceLayer[] | undefined;
}

const eventSchema = z.strictObject({
  pcr: z
    .int()
    .min(0)
    .max(23)
    .refine((pcr) => pcr !== IMA_PCR, `PCR ${IMA_PCR} belongs to IMA, whose order does not repeat`),
  name: z.string().min(1).max(128),
  eventType: z.int().min(0).max(0xffffffff),
  digests: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits are expected'))
    .min(1)
    .max(DIGESTS_MAX),
  optional: z.literal(true).optional(),
});

const version = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/);
/** To the year 9999. */
const seconds = z.int().min(0).max(253_402_300_799);
const startupLocality = z.int().min(1).max(4).optional();
const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  version,
  bank: z.literal('sha256'),
  events: z.array(eventSchema).max(EVENTS_MAX),
  layers: referenceLayersSchema.optional(),
};

const schema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('edgekeep-reference-values/v1'), ...common }),
  z.strictObject({ type: z.literal('edgekeep-reference-values/v2'), ...common, startupLocality }),
  z.strictObject({
    type: z.literal('edgekeep-reference-values/v3'),
    ...common,
    startupLocality,
    lowestVersion: version.optional(),
    notBefore: seconds.optional(),
    notAfter: seconds.optional(),
    target: referenceTargetSchema.optional(),
  }),
]);

/**
 * Parses one set. A set that constrains nothing is refused: no required event on a PCR that software cannot reset, or none on a PCR of
 * `quotedPcrs` when that is given. Throws `reference-values-invalid`, `json-not-canonical` or `bytes-too-long`.
 */
export function parseReferenceValues(bytes: Uint8Array, quotedPcrs?: readonly number[]): ReferenceValues {
  if (bytes.length > REFERENCE_VALUES_BYTES_MAX) {
    throw new CoreError(
      'bytes-too-long',
      `reference values: ${bytes.length} bytes, at most ${REFERENCE_VALUES_BYTES_MAX} are allowed`,
    );
  }
  const values: ReferenceValues = parseCanonicalJson(bytes, schema, 'reference values', 'reference-values-invalid');
  assertTerms(values);
  assertConstrains(values, quotedPcrs);
  return values;
}

function assertTerms(values: ReferenceValues): void {
  const { version: own, lowestVersion, notBefore, notAfter } = values;
  if (lowestVersion !== undefined && compareVersions(own, lowestVersion) < 0)
    throw invalid(values, `its lowest version is ${lowestVersion}, which is above its own`);
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter)
    throw invalid(values, `it ends at ${notAfter}, before it begins at ${notBefore}`);
}

/** Throws `reference-values-invalid` for a set that matches any boot, or any boot that an attacker on the device can produce. */
export function assertConstrains(values: ReferenceValues, quotedPcrs?: readonly number[]): void {
  // Each layer names its firmware, so layers alone constrain the devices that they are for; the set is for no others.
  if (values.events.length === 0 && values.layers !== undefined) return;
  const required = values.events.filter(({ optional, pcr }) => optional !== true && !resettablePcrs.has(pcr));
  if (required.length === 0) {
    throw invalid(values, 'it constrains nothing: no required event on a PCR other than the resettable 16 and 23');
  }
  if (values.startupLocality !== undefined && !values.events.some(({ pcr }) => pcr === 0)) {
    throw invalid(values, 'it says how PCR 0 starts and has no event of PCR 0');
  }
  if (quotedPcrs !== undefined && !required.some(({ pcr }) => quotedPcrs.includes(pcr))) {
    throw invalid(values, `it constrains nothing that is quoted: its PCRs are none of ${quotedPcrs.join(',')}`);
  }
}

export function encodeReferenceValues(values: ReferenceValues): Uint8Array {
  return encodeCanonicalJson({
    ...values,
    events: values.events.map((event) => ({ ...event })),
    layers: values.layers?.map((layer) => ({ ...layer })),
    target: values.target === undefined ? undefined : { ...values.target },
  });
}

/** PCRs of the set that no quote over `quotedPcrs` has: with one of them, no boot can match. */
export function neverQuoted({ events }: ReferenceValues, quotedPcrs: readonly number[]): readonly number[] {
  const named = [...new Set(events.map(({ pcr }) => pcr))].sort((a, b) => a - b);
  return named.filter((pcr) => !quotedPcrs.includes(pcr));
}

/** The set that accepts exactly the boot of a golden log, for the given PCRs. Throws `reference-values-invalid` when they hold no event. */
export function referenceValuesFromLog(
  log: EventLog,
  pcrs: readonly number[],
  name: string,
  version: string,
): ReferenceValues {
  const replayed = replayEventLog(log, 'sha256');
  const events = replayed.events.filter(({ pcr }) => pcrs.includes(pcr)).map(referenceEventOf);
  return referenceValuesOf(events, replayed.startupLocality, name, version);
}

export function referenceEventOf({ pcr, eventType, event, digest }: ExtendedEvent): ReferenceEvent {
  const name = describeEventData(eventType, event) || eventTypeName(eventType);
  return { pcr, name, eventType, digests: [toHex(digest)] };
}

/** The set with these events. Throws `reference-values-invalid` when they constrain nothing. */
export function referenceValuesOf(
  events: readonly ReferenceEvent[],
  startupLocality: number,
  name: string,
  version: string,
  terms: ReferenceTerms = {},
): ReferenceValues {
  const start = startupLocality > 0 && events.some(({ pcr }) => pcr === 0) ? { startupLocality } : {};
  const head = { type: 'edgekeep-reference-values/v3', name, version, bank: 'sha256' } as const;
  return parseReferenceValues(encodeReferenceValues({ ...head, events, ...start, ...terms }));
}

function invalid({ name, version }: ReferenceValues, problem: string): CoreError {
  return new CoreError('reference-values-invalid', `reference values ${name} ${version}: ${problem}`);
}
