// Evidence of this device: the root of trust signs the PCRs together with the data that the verifier binds them to, and the boot log
// explains them (spec/evidence.md). Each caller in this package fixes the purpose; no input from outside chooses it.
import { setTimeout } from 'node:timers/promises';
import type { SignedLeaseCounter } from '@edgekeep/core/access/lease-counter';
import type { CertifyPurpose } from '@edgekeep/core/attest/certify-subject';
import type { Evidence, TpmEvidence } from '@edgekeep/core/attest/evidence';
import { IMA_EVIDENCE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import { qualifyingData, type QualifyingPurpose } from '@edgekeep/core/attest/qualifying-data';
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import { replayedBootLog } from '@edgekeep/core/attest/userspace-log';
import { concat, toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { HardwareError, leaseCounterCodes } from '@edgekeep/hardware/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { type ImaLogKnown, imaLogResponse } from '@edgekeep/wire/api/attest';
import { AgentError } from '../error.ts';
import { type Answer, postToHub, refusalText, type Send } from '../hub-api.ts';
import { ImaLogFile, type ImaPiece } from './ima-log-file.ts';
import type { LaterMeasurements } from './later-measurements.ts';

export interface ProverDependencies {
  readonly rootOfTrust: Pick<RootOfTrust, 'attest' | 'certifyLeaseCounter'>;
  /** The whole event log at this moment. */
  readonly eventLog: () => Uint8Array;
  readonly imaLogFile: string | undefined;
  /** What the system measured behind the end of the event log; left out: nothing. */
  readonly later?: LaterMeasurements;
  /** Hears why this TPM has no lease counter. */
  readonly onCounterMissing?: (error: HardwareError) => void;
}

export class Prover {
  readonly #dependencies: ProverDependencies;
  readonly #imaFile: ImaLogFile | undefined;
  /** What the newest challenge or binding contained, for a connection that begins without one. */
  #known: ImaLogKnown | undefined;

  constructor(dependencies: ProverDependencies) {
    this.#dependencies = dependencies;
    this.#imaFile = dependencies.imaLogFile === undefined ? undefined : new ImaLogFile(dependencies.imaLogFile);
  }

  /**
   * `bound` is what the purpose requires: a TLS exporter, or nothing. `hub` takes the part of a long IMA log that evidence cannot carry.
   */
  evidence(
    purpose: Exclude<QualifyingPurpose, CertifyPurpose | 'certify'>,
    nonce: Uint8Array,
    bound: Uint8Array,
    pcrs: readonly number[],
    hub?: ImaReader,
  ): Promise<Evidence> {
    return this.evidenceOver(qualifyingData(purpose, nonce, bound), pcrs, hub);
  }

  /** As `evidence`, over qualifying data that its caller made for one purpose. */
  async evidenceOver(qualified: Uint8Array, pcrs: readonly number[], hub?: ImaReader): Promise<Evidence> {
    const { rootOfTrust, eventLog, later } = this.#dependencies;
    const before = (await later?.records(replayedBootLog(eventLog()))) ?? [];
    const signed = await rootOfTrust.attest(qualified, { bank: 'sha256', pcrs: [...pcrs] });
    const log = eventLog();
    if (signed.kind !== 'tpm') return { ...signed, eventLog: log };
    const ima = pcrs.includes(IMA_PCR) ? await this.#imaLog(signed.quote, hub) : {};
    const explained = later === undefined ? log : await later.logOf(log, before, signed, pcrs);
    return { ...signed, eventLog: explained, ...ima };
  }

  /** Takes how much of the IMA log the hub knows, from its answer to a binding: the next evidence begins there. */
  learn(known: ImaLogKnown): void {
    this.#known = known;
  }

  /** If a hub refuses the start of the log, because it was restored from a backup, it gets the whole log the next time. */
  refused(code: string): void {
    if (code === 'ima-log-start-unknown') this.#known = undefined;
  }

  /** The lease counter, signed for the request that the release evidence is for; undefined where this hardware has none. */
  async leaseCounter(
    purpose: QualifyingPurpose,
    nonce: Uint8Array,
    bound: Uint8Array,
  ): Promise<SignedLeaseCounter | undefined> {
    try {
      return await this.#dependencies.rootOfTrust.certifyLeaseCounter?.(qualifyingData(purpose, nonce, bound));
    } catch (error) {
      // The hub decides whether it accepts evidence without it.
      if (!(error instanceof HardwareError && leaseCounterCodes.has(error.code))) throw error;
      this.#dependencies.onCounterMissing?.(error);
      return undefined;
    }
  }

  // The log is read after the quote: the verifier uses its beginning. Without a hub to send pieces to, a log that is too long is left out,
  // and the verifier says what is missing.
  async #imaLog(quote: Uint8Array, hub: ImaReader | undefined): Promise<ImaPart> {
    if (this.#imaFile === undefined) return {};
    try {
      if (hub === undefined) return await wholeLog(this.#imaFile);
      const attest = parseAttest(quote);
      const known = hub.known === 'remembered' ? this.#known : hub.known;
      this.#known = known;
      const isSameBoot =
        known?.resetCount === attest.clockInfo.resetCount && known.restartCount === attest.clockInfo.restartCount;
      return await newEntries(this.#imaFile, isSameBoot ? known.entries : 0, hub.send);
    } catch (error) {
      // Missing, unreadable, or no IMA log: without it the hub names what is missing, and decides.
      if (error instanceof CoreError && error.code === 'ima-log-invalid') return {};
      throw error;
    }
  }
}

type ImaPart = Pick<TpmEvidence, 'imaLog' | 'imaLogFrom'>;

/** The hub that asks for evidence with an IMA log. */
export interface ImaReader {
  readonly send: Send;
  /** How much of the log it has appraised, from its challenge; `remembered` when this challenge does not say. */
  readonly known: ImaLogKnown | 'remembered' | undefined;
}

// Everything after `from`; all pieces but the last are sent ahead. A log that ends before `from` is a different one: it is sent from its
// beginning.
async function newEntries(file: ImaLogFile, from: number, send: Send): Promise<ImaPart> {
  let last: ImaPiece | undefined;
  for await (const piece of file.pieces(from)) {
    if (last !== undefined) {
      const answer = await sentPiece(send, last);
      if (answer.kind === 'refused') {
        // A hub of an earlier version takes no pieces.
        if (answer.code === 'not-found') return wholeLog(file);
        throw new AgentError('hub-refused', refusalText(answer));
      }
    }
    last = piece;
  }
  if (last === undefined) {
    return from === 0 ? { imaLog: new Uint8Array(0) } : { imaLog: new Uint8Array(0), imaLogFrom: from };
  }
  return { imaLog: last.bytes, ...(last.from === 0 ? {} : { imaLogFrom: last.from }) };
}

// The hub limits bytes per second: a piece that comes too soon waits. All pieces must arrive before the challenge ends.
const tooSoonMs = 1_000;
const TOO_SOON_TIMES_MAX = 40;

async function sentPiece(send: Send, piece: ImaPiece): Promise<Answer<object>> {
  const body = { from: piece.from, log: toBase64url(piece.bytes) };
  for (let times = 1; ; times += 1) {
    try {
      return await postToHub(send, '/v1/ima-log', body, imaLogResponse);
    } catch (error) {
      const tooSoon = error instanceof AgentError && error.code === 'hub-refused';
      if (!tooSoon || times === TOO_SOON_TIMES_MAX) throw error;
      await setTimeout(tooSoonMs);
    }
  }
}

async function wholeLog(file: ImaLogFile): Promise<ImaPart> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const { bytes } of file.pieces(0)) {
    length += bytes.length;
    if (length > IMA_EVIDENCE_BYTES_MAX) return {};
    pieces.push(bytes);
  }
  return { imaLog: concat(...pieces) };
}
