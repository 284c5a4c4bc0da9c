// The hub's keys in `keys/sealed.json`, open: the KEK stays in memory while the hub runs, because a roll-over of the platform key adds an
// entry.
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { HubError } from '../common/error.ts';
import type { KeyStore } from './key-store.ts';
import { replaceFile } from '@edgekeep/host/durable-file';
import {
  encodeSealedFile,
  parseSealedFile,
  type SealedFile,
  SEALED_FILE_BYTES_MAX,
  type Unlocker,
} from './sealed-file.ts';
import { entryPlace, seal, unseal } from './sealing.ts';
import { addUnlocker, type NewUnlocker, type Offer, openKeyEncryptionKey } from './unlock.ts';

export const sealedFileName = 'sealed.json';

/** Reads the sealed file of a `keys` folder; undefined when the keys are not sealed. Throws `sealed-keys-invalid`. */
export async function readSealedFile(folder: string): Promise<SealedFile | undefined> {
  const path = join(folder, sealedFileName);
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > SEALED_FILE_BYTES_MAX) throw new HubError('sealed-keys-invalid', `${path} has ${size} bytes: too long`);
    return parseSealedFile(await file.readFile(), path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

/** Seals `entries` under a new KEK for these unlockers, and writes the file. */
export async function writeSealedKeys(
  folder: string,
  entries: ReadonlyMap<string, Uint8Array>,
  orders: readonly NewUnlocker[],
): Promise<void> {
  const kek = randomBytes(32);
  try {
    const key = createSecretKey(kek);
    const unlockers: Unlocker[] = [];
    for (const order of orders) {
      unlockers.push(await addUnlocker(kek, order, new Set(unlockers.map(({ id }) => id))));
    }
    const sealed = [...entries].map(([name, secret]) => sealEntry(key, name, secret));
    const bytes = encodeSealedFile({ type: 'edgekeep-sealed-keys/v1', unlockers, entries: sealed });
    await replaceFile(join(folder, sealedFileName), bytes);
  } finally {
    kek.fill(0);
  }
}

/** Opens the sealed keys with an offer. Every entry must open: a file that was put together from two is refused as a whole. */
export async function openSealedKeys(folder: string, file: SealedFile, offer: Offer): Promise<SealedKeys> {
  const { kek } = await openKeyEncryptionKey(file, offer);
  const keys = new SealedKeys(folder, kek);
  for (const entry of file.entries) keys.open(entry).fill(0);
  return keys;
}

export class SealedKeys implements KeyStore {
  readonly protection = 'sealed';
  readonly #folder: string;
  readonly #kek: Uint8Array;
  readonly #key: KeyObject;
  #changes: Promise<void> = Promise.resolve();

  /** Takes the KEK over and zeroes it when it is disposed of. */
  constructor(folder: string, kek: Uint8Array) {
    this.#folder = folder;
    this.#kek = kek;
    this.#key = createSecretKey(kek);
  }

  async names(): Promise<readonly string[]> {
    return (await this.#file()).entries.map(({ name }) => name).toSorted();
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const entry = (await this.#file()).entries.find((each) => each.name === name);
    return entry === undefined ? undefined : this.open(entry);
  }

  add(name: string, secret: Uint8Array): Promise<void> {
    return this.#change((file) => {
      if (file.entries.some((entry) => entry.name === name))
        throw new HubError('conflict', `there is a ${name} already`);
      // Nothing is sealed into a file that this KEK does not open: its unlockers could not open the new entry.
      for (const entry of file.entries) this.open(entry).fill(0);
      return { ...file, entries: [...file.entries, sealEntry(this.#key, name, secret)] };
    });
  }

  remove(name: string): Promise<void> {
    return this.#change((file) => ({ ...file, entries: file.entries.filter((entry) => entry.name !== name) }));
  }

  /** Removes and adds unlockers; the keys and the KEK stay the same. */
  changeUnlockers(removed: ReadonlySet<string>, added: readonly NewUnlocker[]): Promise<void> {
    return this.#change(async (file) => {
      const unlockers = file.unlockers.filter(({ id }) => !removed.has(id));
      for (const order of added) {
        unlockers.push(await addUnlocker(this.#kek, order, new Set(unlockers.map(({ id }) => id))));
      }
      return { ...file, unlockers };
    });
  }

  /** The secret of an entry of the file; the caller zeroes it. */
  open({ name, sealed }: SealedFile['entries'][number]): Uint8Array {
    const secret = unseal(this.#key, parseBase64url(sealed, name), entryPlace(name));
    if (secret === undefined) {
      throw new HubError('sealed-keys-invalid', `${name} in ${sealedFileName} was altered, or comes from another hub`);
    }
    return secret;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes;
    this.#kek.fill(0);
  }

  async #file(): Promise<SealedFile> {
    const file = await readSealedFile(this.#folder);
    if (file === undefined) throw new HubError('sealed-keys-invalid', `${join(this.#folder, sealedFileName)} is gone`);
    return file;
  }

  /** One change at a time, each on the present content of the disk. */
  #change(edit: (file: SealedFile) => SealedFile | Promise<SealedFile>): Promise<void> {
    const done = this.#changeAfter(this.#changes, edit);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  async #changeAfter(
    earlier: Promise<void>,
    edit: (file: SealedFile) => SealedFile | Promise<SealedFile>,
  ): Promise<void> {
    await earlier;
    const changed = await edit(await this.#file());
    await replaceFile(join(this.#folder, sealedFileName), encodeSealedFile(changed));
  }
}

function sealEntry(key: KeyObject, name: string, secret: Uint8Array): SealedFile['entries'][number] {
  return { name, sealed: toBase64url(seal(key, secret, entryPlace(name))) };
}
