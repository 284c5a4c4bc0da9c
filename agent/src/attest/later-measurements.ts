// What the system that the kernel started measured into this TPM, behind the end of the boot log (spec/event-log.md, "After the kernel has
// started"). Evidence carries it as further events of the log, so far as the quoted PCRs need it.
import { readFile } from 'node:fs/promises';
import { UNIFIED_IMAGE_PCR } from '@edgekeep/core/attest/boot-phase';
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import type { ReplayedLog } from '@edgekeep/core/attest/replay';
import {
  beginningsOf,
  parseUserspaceLog,
  phasesBetween,
  replayedBootLog,
  type UserspaceRecord,
  valuesAfter,
  withUserspaceRecords,
} from '@edgekeep/core/attest/userspace-log';
import { equalBytes } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import { parseTpmSignature } from '@edgekeep/core/tpm/signature';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';

interface Quote {
  readonly quote: Uint8Array;
  readonly signature: Uint8Array;
}

export class LaterMeasurements {
  readonly #tpm: Pick<RootOfTrust, 'readPcrs'> | undefined;
  readonly #file: string | undefined;

  /** `tpm` is undefined where there is none: then nothing is measured later. `file` is systemd's log. */
  constructor(tpm: Pick<RootOfTrust, 'readPcrs'> | undefined, file: string | undefined) {
    this.#tpm = tpm;
    this.#file = file;
  }

  /** By systemd's log; without one, by the phases that are the same on every machine. */
  async records(log: ReplayedLog): Promise<readonly UserspaceRecord[]> {
    if (this.#tpm === undefined || this.#file === undefined) return [];
    const read = await readRecords(this.#file);
    if (read !== undefined) return read;
    // Only the stub of a unified image measures here before the kernel runs, and systemd only after it.
    if (!log.values.has(UNIFIED_IMAGE_PCR)) return [];
    const value = (await this.#tpm.readPcrs({ bank: 'sha256', pcrs: [UNIFIED_IMAGE_PCR] })).get(UNIFIED_IMAGE_PCR);
    return (value && phasesBetween(log, value)) ?? [];
  }

  /** `bytes`, with what was measured until the quote. `before` was read before it. */
  async logOf(
    bytes: Uint8Array,
    before: readonly UserspaceRecord[],
    signed: Quote,
    pcrs: readonly number[],
  ): Promise<Uint8Array> {
    const log = replayedBootLog(bytes);
    const quoted = (records: readonly UserspaceRecord[]) => records.filter(({ pcr }) => pcrs.includes(pcr));
    // The value of PCR 10 is the IMA log's, which the verifier replays: the digest is not known here.
    if (pcrs.includes(IMA_PCR)) return withUserspaceRecords(bytes, quoted(before));
    const attest = parseAttest(signed.quote);
    if (attest.kind !== 'quote') return bytes;
    const { hash } = parseTpmSignature(signed.signature);
    const after = quoted(await this.records(log));
    for (const records of beginningsOf(after)) {
      const digest = pcrDigest(pcrs.map(valuesAfter(log, records)), hash);
      if (equalBytes(digest, attest.pcrDigest)) return withUserspaceRecords(bytes, records);
    }
    // The verifier says what does not fit.
    return withUserspaceRecords(bytes, after);
  }
}

/** Undefined when there is no such log for this user: an older systemd keeps none. */
async function readRecords(file: string): Promise<readonly UserspaceRecord[] | undefined> {
  try {
    return parseUserspaceLog(await readFile(file));
  } catch (error) {
    // A log that cannot be used is like none: evidence without it is refused where it matters, with the PCR named.
    if (error instanceof CoreError || (error instanceof Error && 'syscall' in error)) return undefined;
    throw error;
  }
}
