// A device as witness: asks for the log's checkpoint, follows it, and cosigns what extends everything it saw before.
import { cosign } from '@edgekeep/core/audit/cosignature';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { followCheckpoint, type FollowVerdict } from '@edgekeep/core/audit/follower';
import { encodeNote, type NoteSigner, parseNote, type VerifierKey } from '@edgekeep/core/audit/note';
import { parseProofHash } from '@edgekeep/core/audit/proof';
import { utf8 } from '@edgekeep/core/bytes';
import { checkpointResponse } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import { accepted, type Answer } from './answer.ts';
import type { DeviceLink } from './device-link.ts';

export class TestWitness {
  readonly #logKey: VerifierKey;
  readonly #signer: NoteSigner;
  #lastSeen: Uint8Array | undefined;

  constructor(logKey: VerifierKey, signer: NoteSigner) {
    this.#logKey = logKey;
    this.#signer = signer;
  }

  /** Entries under the last checkpoint seen. */
  get size(): number {
    if (this.#lastSeen === undefined) return 0;
    const opened = openCheckpoint(this.#lastSeen, this.#logKey);
    return opened.kind === 'verified' ? opened.checkpoint.size : 0;
  }

  /** The root of the last checkpoint seen, base64. */
  get root(): string {
    const opened = openCheckpoint(this.#lastSeen ?? new Uint8Array(0), this.#logKey);
    if (opened.kind !== 'verified') throw new TypeError('nothing was seen yet');
    return Buffer.from(opened.checkpoint.root).toString('base64');
  }

  /** Follows the hub's checkpoint; remembers what is consistent. */
  async follow(link: DeviceLink): Promise<FollowVerdict> {
    const oldSize = this.size;
    return this.take(oldSize, await link.ask('GET', `/v1/checkpoint?from=${oldSize}`));
  }

  /** The same for an answer that the hub gave to a question from `oldSize` on. */
  take(oldSize: number, answer: Answer): FollowVerdict {
    const shown = accepted(answer, checkpointResponse);
    const checkpoint = utf8(shown.checkpoint);
    const request = { oldSize, proof: shown.consistency.map(parseProofHash), checkpoint };
    const verdict = followCheckpoint(this.#lastSeen, request, this.#logKey);
    if (verdict.kind === 'consistent') this.#lastSeen = checkpoint;
    return verdict;
  }

  /** The last checkpoint seen, with this witness's line. */
  async cosigned(seconds: number): Promise<Uint8Array> {
    if (this.#lastSeen === undefined) throw new TypeError('nothing was seen yet');
    const note = parseNote(this.#lastSeen);
    const lines = await cosign(note.text, seconds, this.#signer);
    return encodeNote({ text: note.text, signatures: [...note.signatures, ...lines] });
  }

  /** One whole round: follow, cosign, send. */
  async checkIn(link: DeviceLink, seconds: number): Promise<FollowVerdict> {
    const verdict = await this.follow(link);
    if (verdict.kind !== 'consistent') return verdict;
    const checkpoint = Buffer.from(await this.cosigned(seconds)).toString('utf8');
    accepted(await link.ask('POST', '/v1/cosignatures', { checkpoint }), z.object({ accepted: z.literal(true) }));
    return verdict;
  }
}
