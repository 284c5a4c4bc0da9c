// `edgekeep hub backup`, spec/platform-secrets.md: one file from a data folder, also while its hub runs.
import { sha256Hex } from '@edgekeep/core/digest';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { equalBytes } from '@edgekeep/core/bytes';
import type { Json } from '@edgekeep/core/json';
import { initialCertificateFiles } from './initial-certificates.ts';
import { HubError } from '../common/error.ts';
import { readHubSettings, settingsFileName } from '../settings.ts';
import { snapshotAsSqlite, sqliteFiles } from '../store/copy/fill-sqlite.ts';
import { assertInUse } from '../store/store-mark.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { isMigrated } from '../store/migrate.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import type { Tables } from '../store/schema.ts';
import { settingsWithoutStore } from '../store/store-setting.ts';
import { backupTypes, encodeLine, isBackupPath } from './backup-parts.ts';
import { type BackupSigner, LineDigest, signBackup } from './backup-signature.ts';
import { plainKeyNames } from './plain-keys.ts';

/** A roll-over changes the keys twice; more changes during one backup are an error. */
const ATTEMPTS_MAX = 5;

export interface BackupOrder {
  readonly folder: string;
  readonly file: string;
  /** Take the keys of a plain hub too, unencrypted. */
  readonly plain: boolean;
  readonly blobs: boolean;
  /** The key that signs it; left out: it is not signed. */
  readonly signer?: BackupSigner | undefined;
}

/** Writes the backup and returns the number of its parts. Throws `backup-refused`. */
export async function backUpHub({ folder, file, plain, blobs, signer }: BackupOrder): Promise<number> {
  await stat(join(folder, 'hub.json')).catch((cause: unknown) => {
    throw new HubError('backup-refused', `${folder} holds no complete hub`, { cause });
  });
  // The certificate that completes it comes from an offline root (initial-certificates.ts).
  await stat(join(folder, 'keys', initialCertificateFiles.root)).catch((cause: unknown) => {
    throw new HubError('backup-refused', `${folder} waits for the certificate of its issuing CA`, { cause });
  });
  if (!plain && (await plainKeyNames(join(folder, 'keys'))).length > 0) {
    throw new HubError(
      'backup-refused',
      `the keys are not encrypted: seal them (\`edgekeep hub rekey --data ${folder} --add passphrase\`), or use --plain`,
    );
  }
  const place = placeOfStore(folder, await readHubSettings(folder));
  await assertBackable(place);
  await using output = await newFile(file);
  const snapshot = `${file}.snapshot`;
  try {
    const writer = new BackupWriter(output, signer);
    await writer.begin();
    // The log first: tiles that are older than the store are completed from it, newer ones would contradict it.
    for (const place of ['vendor-roots', 'dice-roots', 'idevid-roots', 'log', ...(blobs ? ['blobs'] : [])])
      await writer.addTree(folder, place);
    const keys = await snapshotWithKeys(folder, place, snapshot);
    await writer.addFile('hub.sqlite', snapshot);
    // After the store: every file that its rows name was on disk before them.
    await writer.addTree(folder, 'evidence');
    for (const [name, bytes] of keys) await writer.add(`keys/${name}`, bytes);
    // Never `operator.json`: its token would be in every copy.
    await writer.add(settingsFileName, await settingsWithoutStore(folder));
    return await writer.end();
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    for (const each of sqliteFiles(snapshot)) await rm(each, { force: true });
  }
}

/** A store on PostgreSQL is copied into the tables of this version; on both, nobody restores one that the hub has left. */
async function assertBackable(place: StorePlace): Promise<void> {
  if (typeof place === 'string' && !existsSync(place)) throw new HubError('backup-refused', `no ${place}`);
  await using reader = await openReader<Tables>(place);
  if (await isMigrated(reader)) return await assertInUse(reader);
  if (typeof place !== 'string')
    throw new HubError('backup-refused', 'the store is of another version: make the backup with that version');
}

// An older backup is never overwritten.
async function newFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', 0o600);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    throw new HubError('backup-refused', `${file} exists already: give another name`, { cause });
  }
}

/** A snapshot of the store, and the key files from before and after it: they open every value in the snapshot. */
async function snapshotWithKeys(
  folder: string,
  place: StorePlace,
  snapshot: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const before = await readFolder(join(folder, 'keys'));
    await snapshotOf(place, snapshot);
    const after = await readFolder(join(folder, 'keys'));
    const same = [...after].every(([name, bytes]) => equalBytes(bytes, before.get(name) ?? new Uint8Array(0)));
    if (same && before.size === after.size) return after;
    await rm(snapshot, { force: true });
  }
  throw new HubError(
    'backup-refused',
    'the keys changed during each attempt: wait until the roll-over of the platform key has ended, and try again',
  );
}

/** One state of the store, as a file of SQLite on every engine: a backup restores into either. */
async function snapshotOf(place: StorePlace, snapshot: string): Promise<void> {
  if (typeof place !== 'string') {
    const { snapshotPostgres } = await import('../store/copy/held-postgres.ts');
    await using taken = await snapshotPostgres(place);
    return await snapshotAsSqlite(snapshot, taken.source);
  }
  using store = new DatabaseSync(place, { readOnly: true, timeout: 5_000 });
  await backup(store, snapshot);
}

async function readFolder(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  // An incomplete file has another name.
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.new'));
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

class BackupWriter {
  readonly #output: FileHandle;
  readonly #signer: BackupSigner | undefined;
  readonly #lines = new LineDigest();
  #parts = 0;

  constructor(output: FileHandle, signer: BackupSigner | undefined) {
    this.#output = output;
    this.#signer = signer;
  }

  async begin(): Promise<void> {
    await this.#writeLine({ type: this.#signer === undefined ? backupTypes.unsigned : backupTypes.signed });
  }

  async add(path: string, bytes: Uint8Array): Promise<void> {
    const sha256 = sha256Hex(bytes);
    await this.#writeLine({ path, sha256, size: bytes.length });
    await this.#output.writeFile(bytes);
    this.#parts += 1;
  }

  /** A file that does not change any more, of any size. */
  async addFile(path: string, file: string): Promise<void> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk);
    const { size } = await stat(file);
    await this.#writeLine({ path, sha256: hash.digest('hex'), size });
    for await (const chunk of createReadStream(file)) await this.#output.writeFile(chunk);
    this.#parts += 1;
  }

  async addTree(folder: string, place: string): Promise<void> {
    const reading = readdir(join(folder, place), { recursive: true, withFileTypes: true });
    const entries = await orIfMissing(reading, []);
    for (const entry of entries) {
      const file = join(entry.parentPath, entry.name);
      const path = relative(folder, file);
      if (!entry.isFile() || !isBackupPath(path) || path.startsWith(join('blobs', 'incoming'))) continue;
      // Being written: no row names it yet.
      if (place === 'evidence' && path.endsWith('.new')) continue;
      if (place === 'blobs') await this.addFile(path, file);
      else await this.#addIfThere(path, file);
    }
  }

  /** Ends the file; it is on disk then. */
  async end(): Promise<number> {
    await this.#writeLine({ end: this.#parts });
    if (this.#signer !== undefined)
      await this.#output.write(encodeLine(await signBackup(this.#signer, this.#lines.digest(), Date.now())));
    await this.#output.sync();
    return this.#parts;
  }

  async #writeLine(value: Json): Promise<void> {
    const line = encodeLine(value);
    this.#lines.add(line);
    await this.#output.write(line);
  }

  // The hub replaces partial tiles while it runs: a missing one is not needed.
  async #addIfThere(path: string, file: string): Promise<void> {
    const bytes = await orIfMissing(readFile(file), undefined);
    if (bytes !== undefined) await this.add(path, bytes);
  }
}
