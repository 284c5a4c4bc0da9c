// The fleet as witness: the hub shows a device a checkpoint with the proof that it extends the last one that the device saw, and keeps the
// cosignature that the device returns. This is c2sp.org/tlog-witness with reversed roles: the device asks, because devices are behind
// firewalls.
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { cosignatureBy, linesBy } from '@edgekeep/core/audit/cosignature';
import {
  encodeNote,
  type NoteSignature,
  parseNote,
  type SignedNote,
  type VerifierKey,
} from '@edgekeep/core/audit/note';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import type { AuditLog } from './log.ts';
import type { WitnessPolicies, WitnessStanding } from './witness-policy.ts';

/** What a device gets: it verifies `consistency` from `oldSize`, remembers the checkpoint, and cosigns it. */
export interface WitnessOffer {
  readonly oldSize: number;
  readonly checkpoint: Uint8Array;
  readonly consistency: readonly Uint8Array[];
}

export type OfferVerdict =
  | ({ readonly kind: 'offer' } & WitnessOffer)
  /** 409 of tlog-witness: the device saw a larger tree than this log has. The device is right, and this hub was set back. */
  | { readonly kind: 'refused'; readonly status: 409; readonly reasons: readonly string[] };

export type CosignatureVerdict =
  | {
      readonly kind: 'kept';
      readonly size: number;
      readonly cosignatures: number;
      readonly quorum: boolean;
      /** The note with the log's lines and the cosigner's. */
      readonly cosigned: Uint8Array;
    }
  /** 403: no cosignature by this device's key. 409: the checkpoint is not open for cosignatures. 422: the cosignature is false. */
  | { readonly kind: 'refused'; readonly status: 403 | 409 | 422; readonly reasons: readonly string[] };

export interface CosignatureCollectorDependencies {
  readonly log: Pick<AuditLog, 'checkpoint' | 'consistency' | 'size' | 'publishCosigned' | 'reach'>;
  /** Which cosignatures are enough for a checkpoint to be shown as witnessed. */
  readonly policies: Pick<WitnessPolicies, 'current' | 'isMet' | 'independent'>;
  /** The names of public witnesses that this hub asks; left out: none. */
  readonly asked?: readonly string[] | undefined;
  /** The largest number of witnesses that a publisher asks for; left out: none does. */
  readonly publishers?: { readonly largest: () => Promise<number> } | undefined;
  /** After this time a newer checkpoint replaces the open one even without a quorum: devices may be asleep. Seconds. */
  readonly maxRoundSeconds: number;
}

/** The number of cosignatures that one checkpoint carries: a receipt must hold them. A larger quorum is carried whole. */
const COSIGNATURES_MAX = 16;

/** How far a device's clock may be ahead of the hub's. Seconds. */
const CLOCK_SKEW_SECONDS_MAX = 300;

/** Rounds that have ended with a quorum: a receipt takes the newest one that is enough without its receiver. */
const ENDED_ROUNDS_MAX = 8;

export interface Witness {
  readonly key: VerifierKey;
  readonly standing: WitnessStanding;
}

/** A cosignature that came to this node: of a device, or of a public witness by its name. */
export interface Gathered {
  readonly size: number;
  readonly by: { readonly deviceId: string } | { readonly public: string };
  /** The note with the log's lines and the cosigner's. */
  readonly cosigned: Uint8Array;
}

/** A checkpoint that is open for cosignatures. */
export type OpenRound = Pick<Round, 'note' | 'size' | 'startedSeconds'>;

interface Round {
  readonly note: SignedNote;
  readonly size: number;
  readonly startedSeconds: number;
  /** By device id. */
  readonly cosignatures: Map<string, { readonly standing: WitnessStanding; readonly lines: readonly NoteSignature[] }>;
  /** Of public witnesses, by name. */
  readonly byPublic: Map<string, readonly NoteSignature[]>;
}

/**
 * One checkpoint is open for cosignatures at a time, so that a log that grows with every check-in still reaches a quorum on one of them. It
 * stays open until it has its quorum, and the largest that a publisher asks for, or its time is over; then the latest checkpoint follows.
 */
export class CosignatureCollector {
  readonly #dependencies: CosignatureCollectorDependencies;
  readonly #witnesses = new Map<string, Witness>();
  #round: Round | undefined;
  /** That of the publishers, when it was last read. */
  #largest = 0;
  /** Newest first. */
  #ended: readonly Round[] = [];
  /** Hears of each cosignature that came to this node. */
  onGathered: (gathered: Gathered) => void = () => {};

  constructor(dependencies: CosignatureCollectorDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Sets a device's witness key, at start and at enrollment; a new key replaces the old one. Throws `key-invalid` for a key that is no
   * cosigner's.
   */
  register(deviceId: string, key: VerifierKey, standing: WitnessStanding): void {
    witnessPolicy([key], 1);
    this.#witnesses.set(deviceId, { key, standing });
    this.#forget(deviceId);
  }

  has(deviceId: string): boolean {
    return this.#witnesses.has(deviceId);
  }

  /** From now on, a device that is quarantined, wiped or retired, or whose boot is refused, is not a witness. */
  remove(deviceId: string): void {
    this.#witnesses.delete(deviceId);
    this.#forget(deviceId);
  }

  // Of the open round. What it cosigned of ended ones was right then.
  #forget(deviceId: string): void {
    this.#round?.cosignatures.delete(deviceId);
  }

  /** What to show a device that has seen `oldSize` entries; 0 when it has seen none. */
  async offer(oldSize: number, nowSeconds: number): Promise<OfferVerdict> {
    const { log, publishers } = this.#dependencies;
    this.#largest = (await publishers?.largest()) ?? 0;
    // Another node may have shown it more.
    await log.reach(oldSize);
    // A device that already saw more than the open checkpoint gets the latest: a smaller tree would look like a fork to it.
    const open = this.#open(nowSeconds);
    const checkpoint = oldSize <= open.size ? encodeNote(open.note) : log.checkpoint();
    const { size } = parseCheckpoint(parseNote(checkpoint).text);
    if (oldSize > size) {
      return { kind: 'refused', status: 409, reasons: [`the device saw ${oldSize} entries, this log has ${size}`] };
    }
    return { kind: 'offer', oldSize, checkpoint, consistency: await log.consistency(oldSize, size) };
  }

  /** Takes the note that a device returned. Kept in memory until `checkpoint()` is called; after a restart the fleet is asked again. */
  accept(deviceId: string, cosigned: Uint8Array, nowSeconds: number): CosignatureVerdict {
    const witness = this.#witnesses.get(deviceId);
    if (witness === undefined) return refused(403, `${deviceId} is not a witness`);
    const verdict = this.take(deviceId, witness, cosigned, nowSeconds);
    if (verdict.kind === 'kept') this.onGathered({ size: verdict.size, by: { deviceId }, cosigned: verdict.cosigned });
    return verdict;
  }

  /** As `accept`, for a cosignature that another node gathered; the caller has read the witness and its standing from the store. */
  take(deviceId: string, { key, standing }: Witness, cosigned: Uint8Array, nowSeconds: number): CosignatureVerdict {
    const note = parseNote(cosigned);
    // A device that was slow brings its line to a round that has ended: the receipts under it gain a witness.
    const round = this.#rounds().find((each) => each.note.text === note.text);
    if (round === undefined) return refused(409, `that checkpoint is not open for cosignatures; request the open one`);
    const cosignature = cosignatureBy(note, key);
    if (cosignature === undefined) return refused(403, `no cosignature by ${shownKey(key)}`);
    if (hasTooMany(note, key)) return refused(422, `more than one cosignature by ${shownKey(key)}`);
    if (cosignature === false) return refused(422, `the cosignature by ${key.name}+${key.id} is false`);
    if (cosignature.seconds > nowSeconds + CLOCK_SKEW_SECONDS_MAX) {
      return refused(422, `the cosignature by ${key.name} is from the future; set the device's clock`);
    }
    const lines = linesBy(note, key);
    round.cosignatures.set(deviceId, { standing, lines });
    return this.#kept(round, lines);
  }

  /** Whether a public witness has cosigned this checkpoint, or it is `waiting` for the next round. */
  hasPublic(name: string, checkpoint: Uint8Array): 'known' | 'missing' | 'waiting' {
    const { text } = parseNote(checkpoint);
    if (this.#round?.note.text !== text) return 'waiting';
    return this.#round.byPublic.has(name) ? 'known' : 'missing';
  }

  /** Takes the lines of a public witness, which a note has behind those of its checkpoint. Lines of other keys are left out. */
  acceptPublic(key: VerifierKey, note: SignedNote, nowSeconds: number): CosignatureVerdict {
    const verdict = this.takePublic(key, note, nowSeconds);
    if (verdict.kind === 'kept')
      this.onGathered({ size: verdict.size, by: { public: key.name }, cosigned: verdict.cosigned });
    return verdict;
  }

  /** As `acceptPublic`, for lines that another node gathered. */
  takePublic(key: VerifierKey, note: SignedNote, nowSeconds: number): CosignatureVerdict {
    const round = this.#rounds().find((each) => each.note.text === note.text);
    if (round === undefined) return refused(409, 'that checkpoint is not open for cosignatures');
    const cosignature = cosignatureBy(note, key);
    if (cosignature === undefined) return refused(403, `no cosignature by ${shownKey(key)}`);
    if (hasTooMany(note, key)) return refused(422, `more than one cosignature by ${shownKey(key)}`);
    if (cosignature === false) return refused(422, `the cosignature by ${shownKey(key)} is false`);
    if (cosignature.seconds > nowSeconds + CLOCK_SKEW_SECONDS_MAX)
      return refused(422, `the cosignature by ${key.name} is from the future`);
    const lines = linesBy(note, key);
    round.byPublic.set(key.name, lines);
    return this.#kept(round, lines);
  }

  #kept(round: Round, lines: readonly NoteSignature[]): CosignatureVerdict {
    const { note, size, cosignatures } = round;
    const cosigned = encodeNote({ text: note.text, signatures: [...note.signatures, ...lines] });
    return { kind: 'kept', size, cosignatures: cosignatures.size, quorum: this.#isMet(round), cosigned };
  }

  /** The newest checkpoint that has its quorum, with cosignatures attached; undefined until the first one has. */
  witnessed(): Uint8Array | undefined {
    const round = this.#rounds().find((each) => this.#isMet(each));
    return round && this.#cosigned(round);
  }

  /**
   * How many independent witnesses besides this device cosigned one of the last witnessed checkpoints, where they were most; at most as many as a
   * receipt carries. The newest one may just have begun to gather them.
   */
  cosignersBesides(deviceId: string): number {
    const counts = this.#rounds()
      .filter((each) => this.#counts(each))
      .map((each) => this.#independent(each, deviceId));
    return Math.min(Math.max(0, ...counts), this.#maxCarried());
  }

  /**
   * The checkpoint to prove an entry under: one that covers it and has its quorum without `receiver`, who is no witness of its own receipt, and
   * the `publisher`'s; else the one with the most witnesses of those that have the quorum; else one that covers it.
   */
  bestCheckpointFor(index: number, receiver?: string, publisher = 0): Uint8Array {
    const covering = this.#rounds().filter(({ size }) => index < size);
    const counted = covering.filter((each) => this.#counts(each, receiver));
    const many = counted.toSorted((a, b) => this.#independent(b, receiver) - this.#independent(a, receiver));
    const enough = counted.find((each) => this.#independent(each, receiver) >= publisher);
    const best = enough ?? many[0] ?? covering[0];
    return best === undefined ? this.#dependencies.log.checkpoint() : this.#cosigned(best, receiver);
  }

  /** The open checkpoint with the cosignatures it has now. */
  checkpoint(): Uint8Array {
    return this.#round === undefined ? this.#dependencies.log.checkpoint() : this.#cosigned(this.#round);
  }

  /** Publishes the open checkpoint with its cosignatures, if it is still the log's latest. */
  publish(): Promise<void> {
    return this.#dependencies.log.publishCosigned(this.checkpoint());
  }

  /** The checkpoint that is open now; undefined before the first. */
  get open(): OpenRound | undefined {
    return this.#round;
  }

  /** Opens a checkpoint that another node opened, in place of this node's own. The log has at least its size. */
  adopt({ note, size, startedSeconds }: OpenRound): void {
    if (this.#round?.note.text === note.text) return;
    this.#end(this.#round);
    this.#round = { note, size, startedSeconds, cosignatures: new Map(), byPublic: new Map() };
  }

  #end(round: Round | undefined): void {
    if (round !== undefined && this.#counts(round)) this.#ended = [round, ...this.#ended].slice(0, ENDED_ROUNDS_MAX);
  }

  #open(nowSeconds: number): Round {
    const { log, maxRoundSeconds } = this.#dependencies;
    const round = this.#round;
    const isOver =
      round !== undefined && (this.#isMetForAll(round) || nowSeconds >= round.startedSeconds + maxRoundSeconds);
    if (round !== undefined && (!isOver || round.size === log.size)) return round;
    this.#end(round);
    const note = parseNote(log.checkpoint());
    const { size } = parseCheckpoint(note.text);
    this.#round = { note, size, startedSeconds: nowSeconds, cosignatures: new Map(), byPublic: new Map() };
    return this.#round;
  }

  #rounds(): readonly Round[] {
    return this.#round === undefined ? this.#ended : [this.#round, ...this.#ended];
  }

  #cosigners({ cosignatures }: Round, receiver?: string): readonly (readonly [string, WitnessStanding])[] {
    return [...cosignatures].filter(([id]) => id !== receiver).map(([id, { standing }]) => [id, standing]);
  }

  #isMet(round: Round, receiver?: string): boolean {
    const { policies } = this.#dependencies;
    if (policies.current().rule === 'none') return false;
    const missing = new Set(this.#dependencies.asked?.filter((name) => !round.byPublic.has(name)));
    return policies.isMet(this.#cosigners(round, receiver), missing);
  }

  #independent(round: Round, receiver?: string): number {
    return this.#dependencies.policies.independent(this.#cosigners(round, receiver));
  }

  /** Whether its cosignatures are of use: they are the quorum, or a publisher asks for some where the hub asks for none. */
  #counts(round: Round, receiver?: string): boolean {
    if (this.#dependencies.policies.current().rule !== 'none') return this.#isMet(round, receiver);
    return this.#largest > 0 && this.#independent(round, receiver) > 0;
  }

  /** Whether the receipt of any device has its quorum under this checkpoint: also those of the devices that cosigned it. */
  #isMetForAll(round: Round): boolean {
    const isEnough = (receiver?: string) =>
      this.#counts(round, receiver) && this.#independent(round, receiver) >= this.#largest;
    return isEnough() && isEnough(this.#alone(round));
  }

  /** A device without which there is one independent cosigner fewer: it decides for all, who are too many to be tried at each check-in. */
  #alone({ cosignatures }: Round): string | undefined {
    const { tiers } = this.#dependencies.policies.current();
    const counted = [...cosignatures].filter(([, { standing }]) => tiers.some((each) => each === standing.tier));
    const ofOrigin = new Map<string, number>();
    for (const [, { standing }] of counted) ofOrigin.set(standing.origin, (ofOrigin.get(standing.origin) ?? 0) + 1);
    const alone = counted.find(
      ([
        ,
        {
          standing: { origin },
        },
      ]) => origin === '' || ofOrigin.get(origin) === 1,
    );
    return alone?.[0];
  }

  // A receipt has room for some: first those that count, one of each origin, and never the receiver's own.
  #cosigned({ note, cosignatures, byPublic }: Round, receiver?: string): Uint8Array {
    const { tiers } = this.#dependencies.policies.current();
    const seen = new Set<string>();
    const ranked = [...cosignatures]
      .filter(([id]) => id !== receiver)
      .map(([id, { standing, lines }]) => {
        const origin = standing.origin === '' ? `device ${id}` : standing.origin;
        const counts = tiers.some((each) => each === standing.tier) && !seen.has(origin);
        if (counts) seen.add(origin);
        return { lines, rank: counts ? 0 : 1 };
      });
    const lines = ranked.toSorted((a, b) => a.rank - b.rank).map(({ lines: own }) => own);
    const carried = lines.slice(0, this.#maxCarried()).flat();
    const others = [...byPublic.values()].flat();
    return encodeNote({ text: note.text, signatures: [...note.signatures, ...others, ...carried] });
  }

  #maxCarried(): number {
    return Math.max(COSIGNATURES_MAX, this.#dependencies.policies.current().quorum, this.#largest);
  }
}

// Receipts carry all lines: a witness must not fill them.
function hasTooMany(note: SignedNote, key: VerifierKey): boolean {
  return linesBy(note, key).length > (key.postQuantum === undefined ? 1 : 2);
}

function shownKey({ name, id, postQuantum }: VerifierKey): string {
  return postQuantum === undefined ? `${name}+${id}` : `${name}+${id} and +${postQuantum.id}, of the same time`;
}

function refused(status: 403 | 409 | 422, reason: string): CosignatureVerdict {
  return { kind: 'refused', status, reasons: [reason] };
}
