// The measured start (spec/agent.md section 2): before anything of a stage is used, its signature is verified and the digest of the signed
// statement is logged and extended into a PCR. The first stage that does not verify ends the start: the agent stays up in recovery, runs no
// model, and reports why. Files of a stage must be where only an update may change them: they are read again when they are used.
import { messageOf } from '@edgekeep/core/message-of';
import { createHash, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { replayEventLog } from '@edgekeep/core/attest/replay';
import { stageText } from '@edgekeep/core/attest/stage-pcr';
import { equalBytes, toHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseBundle } from '@edgekeep/core/model/signature/bundle';
import type { BootLog } from '@edgekeep/hardware/boot/boot-log';
import { verifyModelFiles } from '@edgekeep/wire/file/model-signing';
import { AgentError } from '../error.ts';
import type { Emit } from '../event.ts';

export interface Stage {
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  /** Absolute; the OMS bundle over the folder. */
  readonly signature: string;
}

export interface MeasuredStartOptions {
  readonly pcr: number;
  readonly stages: readonly Stage[];
  /** Who may sign stages. */
  readonly keys: readonly KeyObject[];
}

export type StartVerdict = { readonly kind: 'complete' } | { readonly kind: 'recovery'; readonly error: AgentError };

type Log = Pick<BootLog, 'bytes' | 'condition' | 'measure'>;

/** A stage lists some hundred files; its bundle is never larger. */
const BUNDLE_BYTES_MAX = 4 * 1024 * 1024;

/** Verifies and measures the stages in order; a stage that was measured in this boot already is not measured twice. */
export async function measureStages(log: Log, options: MeasuredStartOptions, emit: Emit): Promise<StartVerdict> {
  if (log.condition.kind === 'inconsistent') {
    const pcrs = log.condition.pcrs.join(', ');
    const message = `PCR ${pcrs} does not match the replayed boot log: something was measured without a log entry: restart the device`;
    return { kind: 'recovery', error: new AgentError('measured-start-inconsistent', message) };
  }
  for (const stage of options.stages) {
    try {
      const digest = await verifiedDigest(stage, options.keys);
      const again = isLatest(log.bytes, options.pcr, stage.name, digest);
      if (!again) {
        await log.measure({ pcr: options.pcr, eventType: eventTypes.ipl, digest, event: eventOf(stage.name) });
      }
      emit({ kind: 'stage-measured', stage: stage.name, digest: toHex(digest), again });
    } catch (error) {
      return { kind: 'recovery', error: refusalOf(stage, error) };
    }
  }
  return { kind: 'complete' };
}

/** SHA-256 of the signed statement, which lists every file with its digest: the publisher knows it before any device runs it. */
async function verifiedDigest({ name, folder, signature }: Stage, keys: readonly KeyObject[]): Promise<Uint8Array> {
  const bundleBytes = await readBundle(signature);
  const verdict = await verifyModelFiles(folder, {
    bundleBytes,
    trust: { kind: 'keys', keys },
    ignorePaths: [],
    ignoreUnsignedFiles: false,
  });
  const parsed = parseBundle(bundleBytes);
  if (verdict.kind === 'refused' || parsed.kind === 'refused') {
    const reasons = verdict.kind === 'refused' ? verdict.reasons : [];
    const why = reasons.map(({ message }) => message).join('; ');
    throw new AgentError('stage-refused', `stage ${name} does not verify: ${why}`);
  }
  return createHash('sha256').update(parsed.bundle.envelope.payload).digest();
}

async function readBundle(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const { size } = await file.stat();
  if (size > BUNDLE_BYTES_MAX) {
    throw new AgentError('stage-refused', `${path}: a bundle of ${size} bytes, at most ${BUNDLE_BYTES_MAX} are read`);
  }
  return await file.readFile();
}

/** Event data as firmware and boot loaders write it for EV_IPL: text for people. The digest is of the signed statement. */
function eventOf(name: string): Uint8Array {
  return utf8(stageText(name));
}

function isLatest(log: Uint8Array, pcr: number, name: string, digest: Uint8Array): boolean {
  const event = eventOf(name);
  const last = replayEventLog(parseEventLog(log), 'sha256').events.findLast(
    (each) => each.pcr === pcr && equalBytes(each.event, event),
  );
  return last !== undefined && equalBytes(last.digest, digest);
}

function refusalOf({ name }: Stage, error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  const message = messageOf(error);
  const code = error instanceof CoreError || isSystemError(error) ? 'stage-refused' : 'measured-start-inconsistent';
  return new AgentError(code, `stage ${name}: ${message}`, { cause: error });
}

// A file that is missing or cannot be read.
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
