// A guard that systemd runs as a separate unit, with a user that shares nothing with the agent's (deploy/edgekeep-guard@.service). The
// agent reaches it by the unit's control socket and sends the opened files over it. Follows spec/guard.md section 7.
import { existsSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { GuardSurroundings } from '@edgekeep/core/model/guard-protocol';
import { AgentError } from '../error.ts';
import type { UnitDoors } from './doors.ts';
import { GuardChannel } from './guard-channel.ts';
import { sandboxParts, type Sandbox, type SandboxPart } from './sandbox.ts';
import type { GuardEnd, RunningGuard } from './spawned.ts';

/** The unit's sockets for one model. */
export interface GuardUnit {
  readonly control: string;
  readonly doors: UnitDoors;
}

/** What the unit cannot have, or has by other means: the end of the channel replaces the parent's death. */
const notOfUnits: readonly SandboxPart[] = ['parent-death-signal'];

export function guardUnit(folder: string, model: string): GuardUnit {
  const socket = (name: string) => join(folder, `${model}.${name}`);
  return { control: socket('control'), doors: { kind: 'unit', local: socket('local'), loopback: socket('loopback') } };
}

/**
 * Connecting starts the unit. `kill` closes the connection, and then the guard ends; the agent may do no more to another user's process.
 */
export function connectGuard({ control }: GuardUnit): RunningGuard {
  const stream = connect({ path: control });
  let connected = false;
  let failure: Error | undefined;
  stream.on('connect', () => (connected = true)).on('error', (error) => (failure = error));
  const { promise: ended, resolve } = Promise.withResolvers<GuardEnd>();
  // Not `once` of node:events, which rejects when the connection is reset, as it is when the guard is killed.
  stream.on('close', () => {
    const why = connected
      ? { errorText: failure?.message ?? '', startError: undefined }
      : { errorText: '', startError: failure };
    resolve({ exitCode: null, signal: null, ...why });
  });
  return { stream, processId: undefined, ended, kill: () => void stream.destroy() };
}

/** The walls around the guard of a unit, as it found them before it saw anything of a model; throws `guard-start`. */
export async function findUnitWalls(unit: GuardUnit, maxProbeMs: number): Promise<Sandbox> {
  if (!existsSync(unit.control))
    throw new AgentError('guard-start', `${unit.control} is missing: enable its unit (deploy/)`);
  const guard = connectGuard(unit);
  const { promise, resolve } = Promise.withResolvers<GuardSurroundings | undefined>();
  const channel = new GuardChannel(guard.stream, {
    onReport: (report) => resolve(report.kind === 'loaded' ? report.surroundings : undefined),
    onViolation: () => resolve(undefined),
  });
  const timer = setTimeout(() => resolve(undefined), maxProbeMs);
  const found = await Promise.race([promise, guard.ended.then(() => undefined)]);
  clearTimeout(timer);
  channel.close();
  await guard.ended;
  if (found === undefined) throw new AgentError('guard-start', `no guard answers at ${unit.control}: see its journal`);
  const parts = partsOf(found);
  const degraded = sandboxParts.filter((part) => !parts.has(part) && !notOfUnits.includes(part));
  return { parts, degraded, root: false, userId: found.userId };
}

function partsOf({ namespaces, ...own }: GuardSurroundings): ReadonlySet<SandboxPart> {
  const isOwn = (kind: keyof GuardSurroundings['namespaces']) =>
    namespaces[kind] !== readlinkSync(`/proc/self/ns/${kind}`);
  const walls: readonly (readonly [SandboxPart, boolean])[] = [
    ['network-namespace', isOwn('net')],
    ['ipc-namespace', isOwn('ipc')],
    ['process-namespace', isOwn('pid')],
    ['file-system', isOwn('mnt')],
    ['no-new-privileges', own.noNewPrivileges],
    ['capabilities', !own.capabilities],
    ['own-user', own.userId !== 0 && own.userId !== process.getuid?.()],
    ['core-limit', !own.coreFiles],
    ['memory-limit', own.memoryLimit],
    ['system-calls', own.systemCallFilter],
  ];
  return new Set(walls.filter(([, stands]) => stands).map(([part]) => part));
}
