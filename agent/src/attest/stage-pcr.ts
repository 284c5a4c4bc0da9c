// Into which PCR this device measures its stages (docs/design/stage-pcr.md), and what else is measured there.
import { describeEventData } from '@edgekeep/core/attest/event-data/describe';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { isStage, SHIM_PCR, STAGE_PCR } from '@edgekeep/core/attest/stage-pcr';
import { equalBytes, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { replaceFile } from '@edgekeep/host/durable-file';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import type { Emit } from '../event.ts';
import { readIfThere } from '../state-folder.ts';
import type { StartVerdict } from './measured-start.ts';

const learned = z.strictObject({ pcr: z.int().min(SHIM_PCR).max(STAGE_PCR) });

/** The PCR of this boot's stages where some are measured already; else that of the settings, the one that the hub named, or 14. */
export async function chooseStagePcr(named: number | undefined, file: string, log: Uint8Array): Promise<number> {
  const measured = eventsOf(log).findLast(({ text }) => isStage(text));
  return measured?.pcr ?? named ?? (await readLearned(file)) ?? SHIM_PCR;
}

/** From the next boot on: in this one, the stages stay where they are. */
export async function learnStagePcr(file: string, pcr: number, emit: Emit): Promise<void> {
  if (((await readLearned(file)) ?? SHIM_PCR) === pcr) return;
  await replaceFile(file, utf8(JSON.stringify({ pcr })));
  emit({ kind: 'stage-pcr-learned', pcr });
}

// A damaged file counts as none: the hub says it again.
async function readLearned(file: string): Promise<number | undefined> {
  const bytes = await readIfThere(file);
  if (bytes === undefined) return undefined;
  try {
    return parseJson(bytes, learned, file).pcr;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return undefined;
  }
}

/**
 * PCR 15 is for the stages alone: what another program measured there before, logged or not, ends the start with its name. In 14 shim
 * measures too: what is there beside the stages is an event.
 */
export async function foreignStart(
  {
    pcr,
    log,
    rootOfTrust,
  }: { readonly pcr: number; readonly log: Uint8Array; readonly rootOfTrust: Pick<RootOfTrust, 'readPcrs'> },
  emit: Emit,
): Promise<StartVerdict | undefined> {
  const others = eventsOf(log).filter((event) => event.pcr === pcr && !isStage(event.text));
  if (pcr !== STAGE_PCR) {
    if (others.length > 0) emit({ kind: 'stage-pcr-shared', pcr, others: others.map(({ text }) => text) });
    return undefined;
  }
  const value = (await rootOfTrust.readPcrs({ bank: 'sha256', pcrs: [pcr] })).get(pcr) ?? new Uint8Array(0);
  const explained = pcrValue(replayEventLog(parseEventLog(log), 'sha256'), pcr);
  const [first] = others;
  if (first === undefined && equalBytes(value, explained)) return undefined;
  const what = first === undefined ? 'a program that wrote nothing into the boot log' : `"${first.text}"`;
  const message = `PCR ${pcr} was extended by ${what}: the agent's stages need it alone; set measuredStart.pcr to 14, or turn off what measures there (systemd measures machine id and file systems into PCR 15 where systemd-stub started the kernel)`;
  return { kind: 'recovery', error: new AgentError('stage-pcr-foreign', message) };
}

function eventsOf(log: Uint8Array): readonly { readonly pcr: number; readonly text: string }[] {
  return replayEventLog(parseEventLog(log), 'sha256').events.map(({ pcr, eventType, event }) => {
    return { pcr, text: describeEventData(eventType, event) };
  });
}
