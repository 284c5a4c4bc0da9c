// The setup for tests and benchmarks of the log: a store in memory, keys from seeds.
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash } from '@edgekeep/core/audit/merkle';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { signerFromKey } from '@edgekeep/core/signer';
import type { AuditLog, AuditLogDependencies } from './log.ts';
import type { CheckpointStore, EntrySource, LoggedEntry } from './log-store.ts';

export const logSigner: NoteSigner = { name: 'log.example/edgekeep', signer: signerFromKey(ed25519Key(1)) };

export interface MemoryStore extends EntrySource, CheckpointStore {
  onSave: (note: Uint8Array) => void;
  grow(size: number): void;
}
export type LogDependencies = AuditLogDependencies;

/** A log's surroundings in memory, except for its folder. `grow` adds entries. */
export function world(folder: string): { store: MemoryStore; dependencies: LogDependencies } {
  let size = 0;
  let saved: Uint8Array | undefined;
  const store: MemoryStore = {
    onSave: () => undefined,
    grow: (to) => {
      size = to;
    },
    size: async () => size,
    read: async (from, to) => Array.from({ length: to - from }, (_, at) => entryAt(from + at)),
    latest: async () => saved,
    save: async (note) => {
      saved = note;
      store.onSave(note);
      return note;
    },
  };
  return { store, dependencies: { source: store, checkpoints: store, folder, signer: logSigner } };
}

/** The same entries with one of them changed. */
export function altered(store: EntrySource, index: number, change: Partial<LoggedEntry>): EntrySource {
  return {
    size: () => store.size(),
    read: async (from, to) =>
      (await store.read(from, to)).map((entry, at) => (from + at === index ? { ...entry, ...change } : entry)),
  };
}

function entryAt(index: number): LoggedEntry {
  const entry = Buffer.from(`entry ${index}`);
  return { entry, leafHash: leafHash(entry) };
}

export function hashAt(index: number): Uint8Array {
  return entryAt(index).leafHash;
}

export function opened(checkpoint: Uint8Array, log: AuditLog) {
  const verdict = openCheckpoint(checkpoint, log.key);
  assert.equal(verdict.kind, 'verified');
  return verdict.kind === 'verified' ? verdict.checkpoint : assert.fail();
}

export function ed25519Key(seed: number) {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([prefix, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' });
}
