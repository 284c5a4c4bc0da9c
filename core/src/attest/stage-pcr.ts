// Into which PCR the agent measures its stages (docs/design/stage-pcr.md): 14, which shim uses as well, or 15 where nothing else measures.
import { compareVersions } from '../model/version-order.ts';
import type { ReferenceEvent, ReferenceValues } from './reference-values.ts';

/** Where shim measures the keys of the machine's owner, and where stages were measured first. */
export const SHIM_PCR = 14;
export const STAGE_PCR = 15;

/** What an event of a stage says in the log. */
export const stageText = (name: string) => `stage ${name}`;

const shimVariables = /^Mok[A-Za-z]+( of shim|$)/;

/** By the text of an event of the log, or the name of an expected one. */
export function isStage(text: string): boolean {
  return text.startsWith('stage ');
}

/** The PCR of the stages that a set expects; undefined where it expects none. */
export function stagePcrOf({ events }: Pick<ReferenceValues, 'events'>): number | undefined {
  return events.findLast(({ name, pcr }) => isStage(name) && (pcr === SHIM_PCR || pcr === STAGE_PCR))?.pcr;
}

/** What else a set expects in the PCR of its stages, for people. */
export function sharedStagePcr(set: Pick<ReferenceValues, 'events'>): readonly string[] {
  const pcr = stagePcrOf(set);
  return set.events.filter((event) => event.pcr === pcr && !isStage(event.name)).map(({ name }) => name);
}

/**
 * Whether a set covers a PCR that must be covered. In place of 14, where the agent's stages were measured first, 15 counts as well; and what
 * shim measures into 14 shows no agent. Sets before version 3 keep the former rule.
 */
export function coversPcr({ events, type }: Pick<ReferenceValues, 'events' | 'type'>, wanted: number): boolean {
  const required = events.filter(({ optional }) => optional !== true);
  if (wanted !== SHIM_PCR || type !== 'edgekeep-reference-values/v3') return required.some(({ pcr }) => pcr === wanted);
  return required.some(
    ({ pcr, name }) => (pcr === SHIM_PCR && !shimVariables.test(name)) || (pcr === STAGE_PCR && isStage(name)),
  );
}

/**
 * Which PCR a device should use from its next boot on; undefined to keep the present one. A device is moved only where that cannot make its
 * boot fail: a set that is its own but for the PCR of the stages names the other one, or no set of its name has stages elsewhere.
 */
export function nextStagePcr(
  inForce: readonly ReferenceValues[],
  booted: { readonly name: string; readonly version: string } | undefined,
  closest: { readonly name: string } | undefined,
): number | undefined {
  const own = inForce.find(({ name, version }) => name === booted?.name && version === booted.version);
  const named = inForce.filter(({ name }) => name === (booted ?? closest)?.name);
  const moved = named
    .filter((set) => own !== undefined && compareVersions(set.version, own.version) > 0 && isSameButForStages(set, own))
    .toSorted((a, b) => compareVersions(b.version, a.version));
  const [newest] = moved.flatMap((set) => stagePcrOf(set) ?? []);
  if (newest !== undefined) return newest;
  const [only, ...others] = new Set(named.flatMap((set) => stagePcrOf(set) ?? []));
  return others.length === 0 ? only : undefined;
}

function isSameButForStages(a: ReferenceValues, b: ReferenceValues): boolean {
  const [stagesA, restA] = divided(a.events);
  const [stagesB, restB] = divided(b.events);
  const withoutPcr = (events: readonly ReferenceEvent[]) =>
    JSON.stringify(events.map((event) => ({ ...event, pcr: STAGE_PCR })));
  return withoutPcr(stagesA) === withoutPcr(stagesB) && JSON.stringify(restA) === JSON.stringify(restB);
}

function divided(events: readonly ReferenceEvent[]): readonly [readonly ReferenceEvent[], readonly ReferenceEvent[]] {
  return [events.filter(({ name }) => isStage(name)), events.filter(({ name }) => !isStage(name))];
}

/** The set whose stages are in the other PCR: of the same machines, for publication beside theirs. */
export function withStagesIn(events: readonly ReferenceEvent[], pcr: number): readonly ReferenceEvent[] {
  const [stages, rest] = divided(events);
  return [...rest, ...stages.map((event) => ({ ...event, pcr }))];
}
