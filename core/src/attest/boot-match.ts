// Compares a device's boot with the expected one: for every PCR that a reference set covers, the logged events in order. The result names
// the first event that differs, is missing or is extra. Event types are compared too, although no digest covers them.
import { toHex } from '../bytes.ts';
import { printableInQuotes } from '../canonical/printable.ts';
import { eventTypeName } from './event-type.ts';
import { type ExpectedReference, type Reason, type ReasonCode, referenceTo } from './reason.ts';
import { isFormerSet } from './boot-coverage.ts';
import type { ReferenceEvent, ReferenceValues } from './reference-values.ts';
import type { ExtendedEvent, ReplayedLog } from './replay.ts';
import { isStage, stagePcrOf } from './stage-pcr.ts';

export interface BootMatch {
  readonly referenceValues: ReferenceValues;
  /** Empty when the boot matches. At most one for each PCR, ascending. */
  readonly reasons: readonly Reason[];
}

interface Answer {
  readonly quotedPcrs: readonly number[];
  readonly match: BootMatch | undefined;
}

/** The last answer about a log and a list of sets, for a verifier that keeps both: devices of one fleet boot the same. */
const answers = new WeakMap<ReplayedLog, WeakMap<readonly ReferenceValues[], Answer>>();

/**
 * The set that the boot matches, or the closest one: fewest PCRs that differ, then most events matched. Sets without events are for DICE
 * devices and not used; undefined when there are no others.
 */
export function matchBoot(
  replayed: ReplayedLog,
  sets: readonly ReferenceValues[],
  quotedPcrs: readonly number[],
): BootMatch | undefined {
  const known = answers.get(replayed) ?? new WeakMap<readonly ReferenceValues[], Answer>();
  answers.set(replayed, known);
  const last = known.get(sets);
  if (last?.quotedPcrs === quotedPcrs) return last.match;
  const match = bestMatch(replayed, sets, quotedPcrs);
  known.set(sets, { quotedPcrs, match });
  return match;
}

function bestMatch(
  replayed: ReplayedLog,
  sets: readonly ReferenceValues[],
  quotedPcrs: readonly number[],
): BootMatch | undefined {
  let best: (BootMatch & { readonly matched: number }) | undefined;
  for (const referenceValues of sets) {
    if (referenceValues.events.length === 0) continue;
    const match = { referenceValues, ...matchSet(replayed, referenceValues, quotedPcrs) };
    if (match.reasons.length === 0) return match;
    const fewer = best === undefined || match.reasons.length < best.reasons.length;
    const further = best !== undefined && match.reasons.length === best.reasons.length && match.matched > best.matched;
    if (fewer || further) best = match;
  }
  return best;
}

function matchSet(replayed: ReplayedLog, set: ReferenceValues, quotedPcrs: readonly number[]) {
  const { events: expected } = set;
  const reasons: Reason[] = [];
  let matched = 0;
  const pcrs = [...new Set(expected.map(({ pcr }) => pcr))].sort((a, b) => a - b);
  for (const pcr of pcrs) {
    if (!quotedPcrs.includes(pcr)) {
      reasons.push({ code: 'pcr-not-quoted', message: `PCR ${pcr} has reference values and was not quoted`, pcr });
      continue;
    }
    const start = pcr === 0 ? startReason(replayed, set) : undefined;
    if (start !== undefined) {
      reasons.push(start);
      continue;
    }
    const logged = replayed.events.filter((event) => event.pcr === pcr);
    const wanted = expected.filter((event) => event.pcr === pcr);
    const outcome = matchPcr(logged, wanted);
    matched += outcome.matched;
    if (outcome.reason !== undefined) reasons.push(namedForeign(outcome.reason, set));
  }
  return { reasons, matched };
}

// What is in the PCR of the stages and is none of them was measured by something else than the agent.
function namedForeign(reason: Reason, set: ReferenceValues): Reason {
  const { code, pcr, event } = reason;
  if (event === undefined || (code !== 'event-extra' && code !== 'event-differs')) return reason;
  if (pcr !== stagePcrOf(set) || isStage(event.description)) return reason;
  const message = `PCR ${pcr}, which the agent's stages are measured into, was extended by something else: ${reason.message}`;
  return { ...reason, code: 'foreign-extend', message };
}

// A TPM that software reset and started again begins PCR 0 at another locality than one that the firmware's root started, and then extends
// it with the same digests.
function startReason(replayed: ReplayedLog, set: ReferenceValues): Reason | undefined {
  if (isFormerSet(set)) return undefined;
  const expected = set.startupLocality ?? 0;
  if (replayed.startupLocality === expected) return undefined;
  const message = `PCR 0: it began at ${replayed.startupLocality}, expected ${expected}: the TPM was not started by what started it on the reference machine`;
  return { code: 'pcr-start-differs', message, pcr: 0 };
}

interface PcrOutcome {
  readonly matched: number;
  readonly reason?: Reason | undefined;
}

// Optional events make the order ambiguous, so every possible position in `wanted` is followed at once.
function matchPcr(logged: readonly ExtendedEvent[], wanted: readonly ReferenceEvent[]): PcrOutcome {
  let places = reachable([0], wanted);
  for (const [position, event] of logged.entries()) {
    const next = places.filter((place) => accepts(wanted[place], event)).map((place) => place + 1);
    if (next.length === 0) return { matched: position, reason: firstDifference(logged, position, wanted, places) };
    places = reachable(next, wanted);
  }
  if (places.includes(wanted.length)) return { matched: logged.length };
  return { matched: logged.length, reason: firstDifference(logged, logged.length, wanted, places) };
}

// Places reached from `starts` by skipping optional events; each once, ascending.
function reachable(starts: readonly number[], wanted: readonly ReferenceEvent[]): readonly number[] {
  const places = new Set<number>();
  for (const start of starts) {
    for (let place = start; !places.has(place); place += 1) {
      places.add(place);
      if (wanted[place]?.optional !== true) break;
    }
  }
  return [...places].sort((a, b) => a - b);
}

function accepts(wanted: ReferenceEvent | undefined, event: ExtendedEvent): boolean {
  return wanted !== undefined && wanted.eventType === event.eventType && wanted.digests.includes(toHex(event.digest));
}

function firstDifference(
  logged: readonly ExtendedEvent[],
  position: number,
  wanted: readonly ReferenceEvent[],
  places: readonly number[],
): Reason | undefined {
  const event = logged[position];
  const required = places
    .map((place) => wanted[place])
    .find((candidate) => candidate !== undefined && candidate.optional !== true);
  if (event === undefined) return required === undefined ? undefined : reasonOf('event-missing', undefined, required);
  if (required === undefined) return reasonOf('event-extra', event, undefined);
  const following = logged[position + 1];
  const replaced = following === undefined || !accepts(required, following);
  if (!replaced) return reasonOf('event-extra', event, required);
  const later = wanted.slice(wanted.indexOf(required) + 1).some((candidate) => accepts(candidate, event));
  return reasonOf(later ? 'event-missing' : 'event-differs', event, required);
}

function reasonOf(code: ReasonCode, event: ExtendedEvent | undefined, wanted: ReferenceEvent | undefined): Reason {
  const pcr = event?.pcr ?? wanted?.pcr;
  const found = event === undefined ? undefined : referenceTo(event);
  const expected = wanted === undefined ? undefined : describeWanted(wanted);
  const foundText =
    found === undefined
      ? 'the log ends'
      : `event ${found.index} is ${found.type} "${found.description}" with digest ${found.digest}`;
  const expectedText =
    expected === undefined
      ? 'nothing more'
      : `${expected.type} "${expected.name}" with digest ${expected.digests.join(' or ')}`;
  return {
    code,
    message: `PCR ${pcr}: ${verbs[code] ?? code}: ${foundText}, expected ${expectedText}`,
    ...(pcr === undefined ? {} : { pcr }),
    ...(found === undefined ? {} : { event: found }),
    ...(expected === undefined ? {} : { expected }),
  };
}

const verbs: { readonly [code in ReasonCode]?: string } = {
  'event-differs': 'an event differs',
  'event-missing': 'an event is missing',
  'event-extra': 'an event is extra',
};

const DIGESTS_SHOWN_MAX = 4;
const NAME_SHOWN_MAX = 80;

function describeWanted({ name, eventType, digests }: ReferenceEvent): ExpectedReference {
  return {
    name: printableInQuotes(name, NAME_SHOWN_MAX),
    type: eventTypeName(eventType),
    digests: digests.slice(0, DIGESTS_SHOWN_MAX),
  };
}
