// The device as witness of the audit log (spec/audit-log.md). At each check-in it asks for the log's present state, verifies that this
// extends what it saw before, remembers it durably, and only then cosigns. A fork ends this permanently. A device that lost what it saw follows
// the log again from what it cosigned last (../state-recovery.ts), and nothing before that.
import type { AddCheckpoint } from '@edgekeep/core/audit/add-checkpoint';
import { openCheckpoint, parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { type FollowVerdict, followCheckpoint } from '@edgekeep/core/audit/follower';
import { encodeForkProof, type ForkProof, parseForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { encodeLogEnd, type LogEnd, parseLogEnd } from '@edgekeep/core/audit/hand-over';
import { PROOF_HASHES_MAX } from '@edgekeep/core/audit/merkle';
import { classicalPart, encodeNote, type NoteSigner, parseNote, type VerifierKey } from '@edgekeep/core/audit/note';
import { parseProofHash } from '@edgekeep/core/audit/proof';
import type { TrustedLog } from '@edgekeep/core/access/trust';
import { isValidAt } from '@edgekeep/core/authority/key-list';
import { CoreError } from '@edgekeep/core/error';
import { parseUtf8, utf8 } from '@edgekeep/core/bytes';
import { copyOf, readEither, removeBoth, replaceBoth } from '@edgekeep/host/two-copies';
import { checkpointResponse } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { KeptState } from '../kept-state.ts';
import { getFromHub, postToHub, type Refusal, type Send } from '../hub-api.ts';
import { readIfThere } from '../state-folder.ts';
import { followHandOvers, keyThatSigned, wentOn } from './log-hand-over.ts';

export interface WitnessDependencies {
  /** The log and those before it with their times, as the root certified them; read late. */
  readonly logs: () => readonly TrustedLog[];
  /** How the log before this one ended. */
  readonly endFile: string;
  readonly signer: NoteSigner;
  readonly checkpointFile: string;
  readonly forkProofFile: string;
  /** Which files were lost; left out: none is known to be. */
  readonly kept?: KeptState;
}

export type CheckInVerdict =
  /** `taken` is false when the hub had moved on to another checkpoint meanwhile, or refused the device's boot. */
  | { readonly kind: 'cosigned'; readonly size: number; readonly taken: boolean }
  /** The log was not shown to extend what was seen: not cosigned, and until it is, this hub is trusted with nothing new. */
  | { readonly kind: 'unproven'; readonly reasons: readonly string[] }
  /** `unkept`: why the proof is not in its file. */
  | { readonly kind: 'forked'; readonly unkept?: unknown }
  | Refusal;

const accepted = z.object({ accepted: z.boolean() });

export class Witness {
  readonly #dependencies: WitnessDependencies;
  #lastSeen: Uint8Array | undefined;
  /** `unreadable`: the proof is lost, and that there was one is not. */
  #fork: ForkProof | 'unreadable' | undefined;
  #end: LogEnd | undefined;
  #isLost: boolean;

  private constructor(
    dependencies: WitnessDependencies,
    found: Readonly<Record<'lastSeen', Uint8Array | undefined>> & {
      readonly fork: ForkProof | 'unreadable' | undefined;
      readonly end: LogEnd | undefined;
      readonly isLost: boolean;
    },
  ) {
    this.#dependencies = dependencies;
    this.#lastSeen = found.lastSeen;
    this.#fork = found.fork;
    this.#end = found.end;
    this.#isLost = found.isLost;
  }

  /** Throws `state-invalid` when the remembered state is not of the pinned log: a device never starts over without an operator. */
  static async open(dependencies: WitnessDependencies): Promise<Witness> {
    const { checkpointFile, forkProofFile, endFile, kept = new KeptState() } = dependencies;
    const keys = dependencies.logs().map(({ key }) => key);
    const lastSeen = await kept.read('checkpoint', checkpointFile, {
      parse: (bytes) => seenOf(bytes, keys, checkpointFile),
      isNewer: (copy, file) => copy.size > file.size,
    });
    return new Witness(dependencies, {
      lastSeen: lastSeen?.checkpoint,
      fork: await readFork(forkProofFile, keys),
      end: await kept.read('log-end', endFile, { parse: parseLogEnd }),
      isLost: kept.isLost('checkpoint'),
    });
  }

  /** The log is not followed, and nothing of this hub is taken, until `recover` was called. */
  lose(): void {
    this.#isLost = true;
  }

  /**
   * Goes on from the largest of these checkpoints, which this device saw before, and from what it knows; durably. Throws `hub-answer-invalid` for
   * one that no known log signed.
   */
  async recover(seen: readonly Uint8Array[]): Promise<void> {
    const known = this.#lastSeen === undefined ? [] : [this.#lastSeen];
    const opened = [...known, ...seen].map((bytes) => openSeen(bytes, this.#keys));
    const [largest] = opened.toSorted((a, b) => b.size - a.size);
    if (largest !== undefined) {
      await replaceBoth(this.#dependencies.checkpointFile, largest.checkpoint);
      this.#lastSeen = largest.checkpoint;
    }
    this.#isLost = false;
  }

  isOfKnownLog(checkpoint: Uint8Array): boolean {
    return sizedBy(checkpoint, this.#keys) !== undefined;
  }

  /** The log was caught with two histories: until an operator removes the proof, this hub is not trusted. */
  get forked(): boolean {
    return this.#fork !== undefined;
  }

  /** The fork proof's text, for `POST /v1/reports`. */
  get forkProof(): string | undefined {
    const fork = this.#fork;
    return fork === undefined || fork === 'unreadable' ? undefined : parseUtf8(encodeForkProof(fork), 'fork proof');
  }

  /** The number of log entries that this device has cosigned. */
  get size(): number {
    if (this.#lastSeen === undefined) return 0;
    const key = keyThatSigned(this.#lastSeen, this.#keys.map(classicalPart));
    if (key === undefined) return 0;
    const opened = openCheckpoint(this.#lastSeen, key);
    return opened.kind === 'verified' ? opened.checkpoint.size : 0;
  }

  get #keys(): readonly VerifierKey[] {
    return this.#dependencies.logs().map(({ key }) => key);
  }

  /** One round of witnessing; only one at a time. */
  async checkIn(send: Send, nowSeconds: number): Promise<CheckInVerdict> {
    if (this.#fork !== undefined) return { kind: 'forked' };
    if (this.#isLost)
      return {
        kind: 'unproven',
        reasons: ['what this device saw of the log is lost, and the hub has not restored it yet'],
      };
    const { size } = this;
    const offered = await getFromHub(send, `/v1/checkpoint?from=${size}`, checkpointResponse);
    if (offered.kind === 'refused') return offered;
    if (this.#isHandedOver(offered.value)) return this.#followHandOver(send, size, nowSeconds);
    const verdict = this.#follow(size, offered.value);
    switch (verdict.kind) {
      case 'refused':
        return { kind: 'unproven', reasons: verdict.reasons };
      case 'fork':
        return this.#keepProof(verdict.proof);
      case 'consistent': {
        const reasons = this.#overReasons(verdict.checkpoint.origin, nowSeconds);
        if (reasons.length > 0) return { kind: 'unproven', reasons };
        return this.#cosign(send, utf8(offered.value.checkpoint), verdict, nowSeconds);
      }
    }
  }

  // Even with a full disk this device acts on what it saw.
  async #keepProof(proof: ForkProof): Promise<CheckInVerdict> {
    this.#fork = proof;
    try {
      await replaceBoth(this.#dependencies.forkProofFile, encodeForkProof(proof));
      return { kind: 'forked' };
    } catch (unkept) {
      return { kind: 'forked', unkept };
    }
  }

  // The checkpoint is of another log than the one seen last, and the root certified that one, too.
  #isHandedOver({ checkpoint }: z.infer<typeof checkpointResponse>): boolean {
    if (this.#lastSeen === undefined) return false;
    const keys = this.#keys;
    const [seen, now] = [this.#lastSeen, utf8(checkpoint)].map((note) => keyNamed(note, keys));
    return seen !== undefined && now !== undefined && seen !== now;
  }

  async #followHandOver(send: Send, size: number, nowSeconds: number): Promise<CheckInVerdict> {
    const lastSeen = this.#lastSeen ?? new Uint8Array(0);
    const keys = this.#keys;
    const offered = await getFromHub(send, `/v1/checkpoint?from=${size}&handOvers=all`, checkpointResponse);
    if (offered.kind === 'refused') return offered;
    try {
      const checkpoint = utf8(offered.value.checkpoint);
      // The hub shows a former log again: it is an old copy, or the thief of that key.
      const proof = this.#end === undefined ? undefined : wentOn(this.#end, checkpoint, keys);
      if (proof !== undefined) return await this.#keepProof(proof);
      const verdict = followHandOvers(lastSeen, offered.value, keys);
      if (verdict.kind === 'fork') return await this.#keepProof(verdict.proof);
      if (verdict.kind === 'refused') return { kind: 'unproven', reasons: verdict.reasons };
      const { text } = parseNote(verdict.checkpoint);
      const opened = { kind: 'consistent', checkpoint: parseCheckpoint(text), text } as const;
      const reasons = this.#overReasons(opened.checkpoint.origin, nowSeconds);
      if (reasons.length > 0) return { kind: 'unproven', reasons };
      await replaceBoth(this.#dependencies.endFile, encodeLogEnd(verdict.end));
      this.#end = verdict.end;
      return await this.#cosign(send, verdict.checkpoint, opened, nowSeconds);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return { kind: 'unproven', reasons: [error.message] };
    }
  }

  #follow(oldSize: number, offered: z.infer<typeof checkpointResponse>): FollowVerdict {
    try {
      if (offered.consistency.length > PROOF_HASHES_MAX) throw new CoreError('proof-invalid', 'too many proof hashes');
      const request: AddCheckpoint = {
        oldSize,
        proof: offered.consistency.map(parseProofHash),
        checkpoint: utf8(offered.checkpoint),
      };
      const keys = this.#keys;
      const key = keyNamed(this.#lastSeen ?? request.checkpoint, keys) ?? keys.at(-1);
      if (key === undefined) throw new CoreError('key-invalid', 'no log is known');
      return followCheckpoint(this.#lastSeen, request, key);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return { kind: 'refused', status: 422, reasons: [error.message], lastSize: oldSize };
    }
  }

  // A checkpoint has no time: it is one of now, and the key of a log that has ended, or that was stolen, signs nothing now (spec/key-list.md, "A log
  // that has ended"). The beginning is not asked for: the hub's clock may be ahead of this one.
  #overReasons(origin: string, nowSeconds: number): readonly string[] {
    const log = this.#dependencies.logs().find(({ key }) => key.name === origin);
    if (log !== undefined && !log.compromised && isValidAt({ ...log, fromSeconds: 0 }, nowSeconds)) return [];
    const why = log?.compromised === true ? 'its key was stolen' : 'its key has ended';
    return [`the hub shows the log ${origin}, which signs nothing more: ${why}`];
  }

  async #cosign(
    send: Send,
    checkpoint: Uint8Array,
    { checkpoint: { size }, text }: Extract<FollowVerdict, { kind: 'consistent' }>,
    nowSeconds: number,
  ): Promise<CheckInVerdict> {
    const { checkpointFile, signer } = this.#dependencies;
    // tlog-witness: stored durably before the cosignature exists, so that no crash can make this device cosign two histories.
    await replaceBoth(checkpointFile, checkpoint);
    this.#lastSeen = checkpoint;
    const note = parseNote(checkpoint);
    const lines = await cosign(text, nowSeconds, signer);
    const cosigned = parseUtf8(encodeNote({ text, signatures: [...note.signatures, ...lines] }), 'checkpoint');
    const answer = await postToHub(send, '/v1/cosignatures', { checkpoint: cosigned }, accepted);
    if (answer.kind === 'ok') return { kind: 'cosigned', size, taken: answer.value.accepted };
    // A device whose boot was refused is no witness: its attestation says why, and the log was shown to continue.
    const isNotTaken = answer.code === 'witness-behind' || answer.reasons.some(({ code }) => code === 'boot-refused');
    return isNotTaken ? { kind: 'cosigned', size, taken: false } : answer;
  }
}

// By the name in the note, whether or not its signature is good: a false one is refused where it is read.
function keyNamed(checkpoint: Uint8Array, keys: readonly VerifierKey[]): VerifierKey | undefined {
  const text = Buffer.from(checkpoint).toString('utf8');
  return keys.find(({ name }) => text.startsWith(`${name}\n`));
}

interface Seen {
  readonly checkpoint: Uint8Array;
  readonly size: number;
}

/** A checkpoint of a file. A CoreError: it is damaged. `state-invalid`: it is of another log than this device follows now. */
function seenOf(checkpoint: Uint8Array, keys: readonly VerifierKey[], file: string): Seen {
  const { text } = parseNote(checkpoint);
  if (keyNamed(checkpoint, keys) === undefined && text.startsWith(`${parseCheckpoint(text).origin}\n`)) {
    const message = `${file} is of the log ${parseCheckpoint(text).origin}, which is not the one that is pinned now`;
    throw new AgentError(
      'state-invalid',
      `${message}; remove it and ${copyOf(file)} only if the log was replaced on purpose`,
    );
  }
  return sizedBy(checkpoint, keys) ?? notSigned();
}

function openSeen(checkpoint: Uint8Array, keys: readonly VerifierKey[]): Seen {
  const seen = sizedBy(checkpoint, keys);
  if (seen === undefined) throw new AgentError('hub-answer-invalid', 'a checkpoint to go on from is of no known log');
  return seen;
}

// It may be from before the log had a second key.
function sizedBy(checkpoint: Uint8Array, keys: readonly VerifierKey[]): Seen | undefined {
  const key = keyThatSigned(checkpoint, keys.map(classicalPart));
  const opened = key && openCheckpoint(checkpoint, key);
  return opened?.kind === 'verified' ? { checkpoint, size: opened.checkpoint.size } : undefined;
}

function notSigned(): never {
  throw new CoreError('checkpoint-invalid', 'its signature is not the one of the log');
}

// An operator removes the file to end the device's refusal: its copy is not put back. A file that cannot be read ends nothing.
async function readFork(path: string, keys: readonly VerifierKey[]): Promise<ForkProof | 'unreadable' | undefined> {
  if ((await readIfThere(path)) === undefined) {
    await removeBoth(path);
    return undefined;
  }
  const found = await readEither(path, { parse: parseForkProof });
  if (found.kind !== 'found') return 'unreadable';
  const proof = found.value;
  if (keys.some((key) => verifyForkProof(proof, key).kind !== 'refused')) return proof;
  const message = `${path}: the proof is not about the log that is pinned now; remove it only if the log was replaced on purpose`;
  throw new AgentError('state-invalid', message);
}
