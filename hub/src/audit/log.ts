// The audit log: integrates committed entries into the Merkle tree, signs a checkpoint over them and publishes it. Entries are inserted in
// the transaction of the change that they describe; this loop must then put each of them under a checkpoint.
import { equalBytes } from '@edgekeep/core/bytes';
import { openCheckpoint, parseCheckpoint, signCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { classicalPart, type NoteSigner, parseNote, type VerifierKey, verifierKeyOf } from '@edgekeep/core/audit/note';
import type { TlogProof } from '@edgekeep/core/audit/proof';
import { tileWidth } from '@edgekeep/core/audit/tile';
import { appendLeaves, edgeRoot, emptyEdge, partialTiles, type TreeEdge } from '@edgekeep/core/audit/tree-edge';
import { HubError } from '../common/error.ts';
import type { LogFiles } from './files.ts';
import type { CheckpointStore, EntrySource, LoggedEntry } from './log-store.ts';
import { TileFolder } from './tiles.ts';
import { edgeFromTiles } from './start-edge.ts';
import { TreeReader } from './tree-reader.ts';

export interface AuditLogDependencies {
  readonly source: EntrySource;
  readonly checkpoints: CheckpointStore;
  /** Where the tiles are written; a static server may serve this folder. */
  readonly folder: string;
  /** The signer's name is the log's origin. */
  readonly signer: NoteSigner;
  /** The log ends at a size that it has not reached yet: a hub was killed in a hand-over. */
  readonly handOver?: PendingHandOver | undefined;
  /** Where the log with this key ended, if another node has handed it over. */
  readonly ended?: (key: VerifierKey) => Promise<PendingHandOver | undefined>;
  /** The keys of the logs before this one: the published checkpoint may still be theirs, when a hub was killed or copied behind a hand-over. */
  readonly former?: readonly VerifierKey[];
  readonly files?: LogFiles;
  /**
   * An entry that the start may begin at: what is before it is taken from the tiles, which the signed root vouches for. Left out: every entry is read.
   */
  readonly readFrom?: number;
}

/** Where this log ends, and who signs from there on (spec/audit-log.md, "Hand-over"). */
export interface PendingHandOver {
  readonly size: number;
  readonly root: Uint8Array;
  /** The last checkpoint. */
  readonly note: Uint8Array;
  readonly next: NoteSigner;
}

/**
 * The number of entries that are integrated at once. Bounds memory (32 MiB of the largest entries) and the time until the first of them is
 * covered.
 */
const BATCH_ENTRIES_MAX = 16 * tileWidth;

interface Grown {
  readonly edge: TreeEdge;
  /** The entries of the bundle that is not full yet. */
  readonly openBundle: readonly Uint8Array[];
}

/** The state behind one checkpoint; replaced as a whole, so that readers never see half a step. */
interface Head extends Grown {
  readonly checkpoint: Uint8Array;
}

interface Waiter {
  readonly index: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class AuditLog implements AsyncDisposable {
  #signer: NoteSigner;
  #handOver: PendingHandOver | undefined;
  readonly #dependencies: AuditLogDependencies;
  readonly #tiles: TileFolder;
  readonly #reader: TreeReader;
  #head: Head;
  #waiters: Waiter[] = [];
  #awake = false;
  #failure: HubError | undefined;
  #stopped = false;
  #skipped = 0;
  /** Steps run one after another: integration, and publishing of cosigned checkpoints. */
  #steps: Promise<void> = Promise.resolve();

  private constructor(dependencies: AuditLogDependencies, tiles: TileFolder, head: Head) {
    this.#dependencies = dependencies;
    this.#signer = dependencies.signer;
    this.#handOver = dependencies.handOver;
    this.#tiles = tiles;
    this.#reader = new TreeReader((address) => tiles.readTile(address));
    this.#head = head;
  }

  /**
   * Opens the log: reads the entries from `readFrom` on, completes writes that a crash interrupted, and compares the result with the last signed
   * checkpoint. When the entries no longer lead to it, or a published tile differs, history was rewritten: throws `log-rewritten`, and the
   * hub must not start.
   */
  static async open(dependencies: AuditLogDependencies): Promise<AuditLog> {
    const tiles = await TileFolder.open(dependencies.folder, dependencies.files);
    const log = new AuditLog(dependencies, tiles, { edge: emptyEdge, openBundle: [], checkpoint: new Uint8Array(0) });
    await log.#restore();
    return log;
  }

  /** The key of its checkpoints; another one after a hand-over. */
  get key(): VerifierKey {
    return verifierKeyOf(this.#signer, 'ed25519');
  }

  get signer(): NoteSigner {
    return this.#signer;
  }

  /** The edge of the integrated tree. */
  get edge(): TreeEdge {
    return this.#head.edge;
  }

  /** Announces a hand-over before its transaction is durable: no entry behind the end is signed with the former key. */
  prepareHandOver(handOver: PendingHandOver): void {
    this.#handOver = handOver;
  }

  /** The proof that entry `index` is in the tree of the latest checkpoint, and that this tree extends the one of `from` entries. */
  async reached(index: number, from: number) {
    const { checkpoint, edge } = this.#head;
    const proof = await this.#reader.inclusion(edge, index, edge.size);
    return { checkpoint, proof, consistency: await this.consistency(from, edge.size) };
  }

  /** The path of an entry in the tree of `size` entries. */
  inclusion(index: number, size: number): Promise<readonly Uint8Array[]> {
    return this.#reader.inclusion(this.#head.edge, index, size);
  }

  /** The latest signed checkpoint: every entry below its size is integrated and durable. */
  checkpoint(): Uint8Array {
    return this.#head.checkpoint;
  }

  get size(): number {
    return this.#head.edge.size;
  }

  /** Why committed entries do not enter the log; undefined while they do. */
  get failure(): HubError | undefined {
    return this.#failure;
  }

  /** Reports that entries were committed. Entries that arrive while a batch is written share the next one. */
  wake(): void {
    if (this.#awake || this.#stopped) return;
    this.#awake = true;
    void this.#step(async () => {
      this.#awake = false;
      await this.#integrate();
    }).catch(() => undefined); // The callers that wait for an entry got the error; the next wake tries again.
  }

  /**
   * Resolves when a checkpoint covers the entry. Rejects when the entry cannot be integrated now: nothing may be released on such an entry.
   */
  integrated(index: number): Promise<void> {
    if (index < this.size) return Promise.resolve();
    if (this.#stopped) return Promise.reject(new HubError('hub-stopping', 'the audit log is closed'));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ index, resolve, reject });
      this.wake();
    });
  }

  /**
   * Integrates what is committed, if the log is smaller than that. Another node may have shown a larger tree than this one has. If the store has
   * no more either, the log stays as it is.
   */
  async reach(size: number): Promise<void> {
    if (size > this.size && !this.#stopped) await this.#step(() => this.#integrate());
  }

  /** The proof that entry `index` is under a checkpoint of this log: the latest, or an earlier one, for example a cosigned one. */
  async proofFor(index: number, checkpoint: Uint8Array = this.#head.checkpoint): Promise<TlogProof> {
    const { size } = parseCheckpoint(parseNote(checkpoint).text);
    const { edge } = this.#head;
    if (size > edge.size || index < 0 || index >= size) {
      throw new HubError(
        'not-found',
        `entry ${index} is not under a checkpoint of ${Math.min(size, edge.size)} entries`,
      );
    }
    return { index, hashes: await this.#reader.inclusion(edge, index, size), checkpoint };
  }

  /** The proof that the tree of `to` entries extends the one of `from` entries. From 0, or when both are equal, it is empty. */
  async consistency(from: number, to: number = this.size): Promise<readonly Uint8Array[]> {
    const { edge } = this.#head;
    if (from < 0 || from > to || to > edge.size) {
      throw new HubError('not-found', `there is no proof from ${from} to ${to} entries, the log has ${edge.size}`);
    }
    return from === 0 || from === to ? [] : this.#reader.consistency(edge, from, to);
  }

  /** Publishes the latest checkpoint with cosignatures attached. A checkpoint that is no longer the latest is skipped. */
  publishCosigned(checkpoint: Uint8Array): Promise<void> {
    return this.#step(async () => {
      const latest = parseNote(this.#head.checkpoint).text;
      if (parseNote(checkpoint).text === latest) await this.#tiles.publishCheckpoint(checkpoint);
    });
  }

  /** Finishes the batch that is being written; later entries are integrated when the log is opened again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#steps;
    this.#reject(new HubError('hub-stopping', 'the audit log is closed'));
  }

  async #step(work: () => Promise<void>): Promise<void> {
    const done = this.#steps.then(work);
    this.#steps = done.catch(() => undefined);
    return done;
  }

  async #integrate(): Promise<void> {
    try {
      const { source, ended } = this.#dependencies;
      const target = await source.size();
      // Read after the size: what is committed at that size is known, and no entry behind the end is signed with the former key.
      this.#handOver ??= await ended?.(this.key);
      while (this.size < target && !this.#stopped) {
        const end = this.#handOver?.size ?? Infinity;
        const until = this.size < end ? Math.min(target, end) : target;
        await this.#advance(Math.min(until, this.size + BATCH_ENTRIES_MAX));
      }
      this.#failure = undefined;
    } catch (cause) {
      const error =
        cause instanceof HubError
          ? cause
          : new HubError('store-failed', 'the audit log could not be written', { cause });
      this.#failure = error;
      this.#reject(error);
      throw error;
    }
  }

  // The order is the promise: tiles durable, then signed, then saved, then published, then reported.
  async #advance(target: number): Promise<void> {
    const { edge, full, openBundle } = await this.#append(this.#head, target, true);
    const checkpoint = await this.#sign(edge);
    this.#head = { edge, openBundle, checkpoint };
    this.#resolve();
    await this.#tiles.removePartials(full);
  }

  // Partial tiles are written only for trees that get a checkpoint.
  async #append(head: Grown, target: number, forCheckpoint: boolean) {
    const read = await this.#dependencies.source.read(head.edge.size, target);
    if (read.length !== target - head.edge.size) {
      throw new HubError(
        'log-rewritten',
        `entries ${head.edge.size} to ${target} were asked for, ${read.length} are there`,
      );
    }
    const hashes = read.map((each, at) => verifiedLeafHash(each, head.edge.size + at));
    const { edge, full } = appendLeaves(head.edge, hashes);
    const entries = [...head.openBundle, ...read.map(({ entry }) => entry)];
    const tiles = forCheckpoint ? [...full, ...partialTiles(edge)] : full;
    await this.#tiles.writeTiles(tiles, entries, head.edge.size - head.openBundle.length);
    return { edge, full, openBundle: entries.slice(entries.length - (edge.size % tileWidth)) };
  }

  async #restore(): Promise<void> {
    const saved = await this.#dependencies.checkpoints.latest();
    const signed = saved === undefined ? undefined : this.#opened(saved, 'the saved checkpoint');
    const published = await this.#tiles.readCheckpoint();
    if (published !== undefined) this.#compareWithPublished(published, signed?.size ?? 0);

    const size = await this.#dependencies.source.size();
    if (signed !== undefined && signed.size > size) {
      throw new HubError(
        'log-rewritten',
        `a checkpoint of ${signed.size} entries was signed, the store has only ${size}`,
      );
    }
    const goal = signed?.size ?? 0;
    const { readFrom = 0 } = this.#dependencies;
    let head = await this.#grown(await edgeFromTiles(Math.min(readFrom, goal), goal, this.#tiles), goal);
    // A tile is missing or wrong: the entries decide.
    if (signed !== undefined && this.#skipped > 0 && !equalBytes(edgeRoot(head.edge), signed.root))
      head = await this.#grown(emptyEdge, goal);
    if (signed !== undefined && !equalBytes(edgeRoot(head.edge), signed.root)) {
      throw new HubError('log-rewritten', `the first ${goal} entries do not match the signed root hash`);
    }
    if (saved === undefined || openCheckpoint(saved, this.key).kind === 'refused') {
      // The first start, or the first one with a second key: readers with that key accept no checkpoint without its signature.
      this.#head = { ...head, checkpoint: await this.#sign(head.edge) };
    } else {
      this.#head = { ...head, checkpoint: saved };
      if (published === undefined || parseNote(published).text !== parseNote(saved).text) {
        await this.#tiles.publishCheckpoint(saved);
      }
    }
    this.#passEnd();
    await this.#integrate();
  }

  /** Entries that the start did not read. */
  get skipped(): number {
    return this.#skipped;
  }

  async #grown(edge: TreeEdge, goal: number): Promise<Grown> {
    this.#skipped = edge.size;
    let head: Grown = { edge, openBundle: [] };
    while (head.edge.size < goal) {
      const target = Math.min(goal, head.edge.size + BATCH_ENTRIES_MAX);
      const grown = await this.#append(head, target, target === goal);
      await this.#tiles.removePartials(grown.full);
      head = grown;
    }
    return head;
  }

  async #sign(edge: TreeEdge): Promise<Uint8Array> {
    const checkpoint =
      this.#endAt(edge) ?? (await signCheckpoint({ size: edge.size, root: edgeRoot(edge) }, this.#signer));
    const { text } = parseNote(checkpoint);
    // The first one counts, so that each size has one note: a second signature of one key may have other bytes.
    const kept = await this.#dependencies.checkpoints.save(checkpoint, (saved) => {
      if (parseNote(saved).text === text) return openCheckpoint(saved, this.key).kind === 'verified';
      throw new HubError('log-rewritten', `another tree of ${edge.size} entries was signed already`);
    });
    await this.#tiles.publishCheckpoint(kept);
    return kept;
  }

  // A hub that was killed behind the last checkpoint of the former log.
  #passEnd(): void {
    if (this.#handOver === undefined || this.size !== this.#handOver.size) return;
    this.#signer = this.#handOver.next;
    this.#handOver = undefined;
  }

  // The last checkpoint of a log that ends here. Of a hand-over that was undone, other entries are in its place.
  #endAt(edge: TreeEdge): Uint8Array | undefined {
    const handOver = this.#handOver;
    if (handOver === undefined || edge.size < handOver.size) return undefined;
    this.#handOver = undefined;
    if (edge.size !== handOver.size || !equalBytes(edgeRoot(edge), handOver.root)) return undefined;
    this.#signer = handOver.next;
    return handOver.note;
  }

  // A checkpoint is saved before it is published: a published one that is larger means that the store was rolled back.
  #compareWithPublished(bytes: Uint8Array, savedSize: number): void {
    const { former = [] } = this.#dependencies;
    const before = former.map((key) => openCheckpoint(bytes, key)).find(({ kind }) => kind === 'verified');
    const published = before?.kind === 'verified' ? before.checkpoint : this.#opened(bytes, 'the published checkpoint');
    if (published.size > savedSize) {
      throw new HubError(
        'log-rewritten',
        `a checkpoint of ${published.size} entries is published, the store knows only one of ${savedSize}`,
      );
    }
  }

  #opened(bytes: Uint8Array, what: string) {
    const opened = openCheckpoint(bytes, classicalPart(this.key));
    if (opened.kind === 'refused') throw new HubError('log-rewritten', `${what}: ${opened.reasons.join('; ')}`);
    return opened.checkpoint;
  }

  #resolve(): void {
    const covered = this.#waiters.filter(({ index }) => index < this.size);
    this.#waiters = this.#waiters.filter(({ index }) => index >= this.size);
    for (const waiter of covered) waiter.resolve();
  }

  #reject(error: HubError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}

// The store keeps the hash beside the entry; an entry that was changed later no longer matches it.
function verifiedLeafHash({ entry, leafHash: stored }: LoggedEntry, index: number): Uint8Array {
  const computed = leafHash(entry);
  if (!equalBytes(computed, stored)) {
    throw new HubError('log-rewritten', `entry ${index} is not the one that was logged`);
  }
  return computed;
}
