// The key store of a node on PostgreSQL. Until the hub's keys are in the store it is the one of the data folder; from then on that one has the
// node's own key alone, and the rest is read from the store each time, because another node may have changed it.
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { equalBytes } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { privatePem } from '../secrets/hub-keys.ts';
import { type KeyStore, keyNamePattern } from '../secrets/key-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { encodeKeyDocument, type KeyDocument, type NodeSlot, parseKeyDocument } from './key-document.ts';
import { KeyEncryptionKey } from './key-encryption-key.ts';
import { type NodeFile, writeNodeFile } from './node-file.ts';
import {
  edited,
  firstDocument,
  type KeyDocumentEdit,
  knownOf,
  type NodeKey,
  openDocument,
  openEntry,
  rewrapped,
  sealEntry,
  unknownNode,
} from './opened-document.ts';

/** The one entry of the data folder that is not the hub's. */
export const nodeKeyName = 'node-key.pem';
const ROW = 1;

interface Opened {
  readonly document: KeyDocument;
  readonly kek: KeyEncryptionKey;
}

/** A change of the document, computed inside the transaction that stores it. */
export type ChangeKeys = (opened: Opened) => KeyDocumentEdit;

export interface ChangeReason {
  readonly change: string;
  readonly name?: string;
}

interface Given {
  readonly file: NodeFile;
  readonly db: Kysely<Tables> | undefined;
  readonly clock: Clock;
}

export class SharedKeys implements KeyStore {
  readonly #folder: string;
  readonly #local: KeyStore;
  readonly #clock: Clock;
  /** Undefined while the store has no table for keys. */
  #db: Kysely<Tables> | undefined;
  #database: Database | undefined;
  #file: NodeFile;
  #node: NodeKey | undefined;
  #opened: Opened | undefined;
  /** Keys that are in the data folder because the store takes no change yet. */
  readonly #early = new Set<string>();
  #refreshing: Promise<void> = Promise.resolve();

  private constructor(folder: string, local: KeyStore, { file, db, clock }: Given) {
    this.#folder = folder;
    this.#local = local;
    this.#file = file;
    this.#db = db;
    this.#clock = clock;
  }

  /** Takes `local` over, and reads the document once; `attach` gives the database for later. */
  static async open(folder: string, local: KeyStore, given: Given): Promise<SharedKeys> {
    const keys = new SharedKeys(folder, local, given);
    await keys.refresh();
    keys.#db = undefined;
    return keys;
  }

  get file(): NodeFile {
    return this.#file;
  }

  get protection(): 'plain' | 'sealed' {
    return this.#local.protection;
  }

  /** Whether the hub's keys are in the store. */
  get areShared(): boolean {
    return this.#opened !== undefined;
  }

  /** The version of the document that is in use; 0 while there is none. */
  get version(): number {
    return this.#opened?.document.version ?? 0;
  }

  /** The document in use. Throws `conflict` while the keys are in the data folder. */
  get document(): KeyDocument {
    return this.#needOpened().document;
  }

  /** Changes are possible from now on. */
  attach(database: Database): void {
    this.#database = database;
    this.#db = database.read;
  }

  async names(): Promise<readonly string[]> {
    await this.refresh();
    if (this.#opened === undefined) return this.#local.names();
    return this.#opened.document.entries.map(({ name }) => name).toSorted();
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    await this.refresh();
    if (this.#opened === undefined) return this.#local.read(name);
    const secret = openEntry(this.#opened.document, this.#opened.kek, name);
    if (secret !== undefined || this.#database !== undefined || name === nodeKeyName) return secret;
    const early = await this.#local.read(name);
    if (early !== undefined) this.#early.add(name);
    return early;
  }

  async add(name: string, secret: Uint8Array): Promise<void> {
    if (!keyNamePattern.test(name)) throw new TypeError(`${name} is not the name of a key`);
    if (this.#opened === undefined) return this.#local.add(name, secret);
    if (this.#database === undefined) {
      await this.#local.add(name, secret);
      this.#early.add(name);
      return;
    }
    await this.#write({ change: 'added', name }, ({ document, kek }) => {
      if (document.entries.some((entry) => entry.name === name))
        throw new HubError('conflict', `there is a ${name} already`);
      return { entries: [...document.entries, sealEntry(document.hub, kek, name, secret)] };
    });
  }

  async remove(name: string): Promise<void> {
    if (this.#opened === undefined) return this.#local.remove(name);
    if (this.#opened.document.entries.every((entry) => entry.name !== name)) return;
    await this.#write({ change: 'removed', name }, ({ document }) => {
      return { entries: document.entries.filter((entry) => entry.name !== name) };
    });
  }

  /** Reads the store again where it has a later version. */
  async refresh(): Promise<void> {
    const done = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = done.catch(() => undefined);
    return done;
  }

  /** Changes the document in this transaction, with its entry in the log. The caller calls `refresh` once it is durable. */
  async change(trx: WriteTransaction, reason: ChangeReason, actor: string, edit: ChangeKeys): Promise<KeyDocument> {
    return this.#replace(trx, reason, actor, ({ document, kek }) => edited(document, kek, edit({ document, kek })));
  }

  /** Makes a new KEK for the nodes that stay, in this transaction. */
  async rewrap(trx: WriteTransaction, stays: (node: NodeSlot) => boolean, actor: string): Promise<KeyDocument> {
    return this.#replace(trx, { change: 'rewrapped' }, actor, ({ document, kek }) => rewrapped(document, kek, stays));
  }

  /** The document as this transaction sees it, verified. */
  async documentIn(trx: WriteTransaction): Promise<KeyDocument> {
    const { document, kek } = await this.#openIn(trx);
    kek[Symbol.dispose]();
    return document;
  }

  /** Moves the sealed keys of the data folder into a store that has none, and what was made before the store took changes. */
  async moveIn(): Promise<void> {
    if (this.#opened === undefined && this.protection === 'sealed') await this.#moveIn();
    for (const name of this.#early) await this.#moveEarly(name);
    await this.#dropLocal();
  }

  /** Puts the hub's keys into the data folder again, for a store that has one process. */
  async takeHome(): Promise<void> {
    for (const name of await this.names()) {
      const secret = await this.read(name);
      if (secret === undefined || this.#opened === undefined) continue;
      try {
        const known = await this.#local.read(name);
        if (known === undefined) await this.#local.add(name, secret);
        known?.fill(0);
      } finally {
        secret.fill(0);
      }
    }
    await this.#local.remove(nodeKeyName);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#refreshing;
    this.#opened?.kek[Symbol.dispose]();
    await this.#local[Symbol.asyncDispose]();
  }

  async #refresh(): Promise<void> {
    const row = this.#db === undefined ? undefined : await this.#row(this.#db);
    if (row === undefined || row.version === this.#opened?.document.version) return;
    const document = parseKeyDocument(row.document);
    const opened = { document, kek: openDocument(document, await this.#nodeKey(), this.#known()) };
    // Remembered before it is used: an older one is refused from now on.
    if (document.version !== this.#file.keys?.version) {
      this.#file = { ...this.#file, keys: knownOf(document) };
      await writeNodeFile(this.#folder, this.#file);
    }
    this.#opened?.kek[Symbol.dispose]();
    this.#opened = opened;
  }

  #known() {
    if (this.#file.keys === null) throw unknownNode();
    return this.#file.keys;
  }

  async #row(db: Kysely<Tables>) {
    return (
      db
        .selectFrom('key_document')
        .select(['version', 'document'])
        .where('id', '=', ROW)
        // Not the whole document each time.
        .where('version', '<>', this.#opened?.document.version ?? 0)
        .executeTakeFirst()
    );
  }

  async #nodeKey(): Promise<NodeKey> {
    this.#node ??= await this.#readNodeKey();
    return this.#node;
  }

  async #readNodeKey(): Promise<NodeKey> {
    const pem = await this.#local.read(nodeKeyName);
    if (pem === undefined) throw unknownNode();
    try {
      return { id: this.#file.id, key: createPrivateKey(Buffer.from(pem)) };
    } finally {
      pem.fill(0);
    }
  }

  #needOpened(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    throw new HubError(
      'conflict',
      'the keys of this hub are in its data folder: a second node needs them sealed in a PostgreSQL store. Stop the hub, seal them (`edgekeep hub rekey --add passphrase`), and start it again',
    );
  }

  async #write(reason: ChangeReason, edit: ChangeKeys): Promise<void> {
    if (this.#database === undefined) throw new TypeError('the store is not open yet');
    await this.#database.writeAsHub((trx) => this.change(trx, reason, 'hub', edit));
    await this.refresh();
  }

  async #replace(
    trx: WriteTransaction,
    { change, name }: ChangeReason,
    actor: string,
    next: (opened: Opened) => KeyDocument,
  ): Promise<KeyDocument> {
    const { document, kek } = await this.#openIn(trx);
    using _ = kek;
    const replaced = next({ document, kek });
    await trx
      .updateTable('key_document')
      .set({ version: replaced.version, document: encodeKeyDocument(replaced) })
      .where('id', '=', ROW)
      .execute();
    await this.#record(trx, replaced, actor, { change, ...(name === undefined ? {} : { name }) });
    return replaced;
  }

  async #openIn(trx: WriteTransaction): Promise<Opened> {
    this.#needOpened();
    const row = await trx.selectFrom('key_document').select('document').where('id', '=', ROW).executeTakeFirstOrThrow();
    const document = parseKeyDocument(row.document);
    return { document, kek: openDocument(document, await this.#nodeKey(), this.#known()) };
  }

  async #record(
    trx: WriteTransaction,
    document: KeyDocument,
    actor: string,
    data: Record<string, string>,
  ): Promise<void> {
    const { version, kek } = document;
    const sha256 = sha256Hex(encodeKeyDocument(document));
    const subject = `hub-keys:${version}`;
    const entry = { at: this.#clock(), kind: 'hub-keys-changed', actor, subject };
    await appendEntry(trx, { ...entry, data: { ...data, kek, sha256 } });
  }

  async #moveIn(): Promise<void> {
    const database = this.#database;
    if (database === undefined) throw new TypeError('the store is not open yet');
    const node = await this.#takeNodeKey();
    const entries = new Map<string, Uint8Array>();
    for (const name of await this.#local.names()) {
      const secret = name === nodeKeyName ? undefined : await this.#local.read(name);
      if (secret !== undefined) entries.set(name, secret);
    }
    using kek = KeyEncryptionKey.make(1);
    try {
      const hub = randomBytes(16).toString('hex');
      const document = firstDocument(hub, kek, { ...node, name: this.#file.name }, entries);
      // Remembered before it is stored: after a kill in between it is made anew.
      this.#file = { ...this.#file, keys: knownOf(document) };
      await writeNodeFile(this.#folder, this.#file);
      await database.writeAsHub(async (trx) => {
        await trx
          .insertInto('key_document')
          .values({ id: ROW, version: document.version, document: encodeKeyDocument(document) })
          .execute();
        await this.#record(trx, document, 'hub', { change: 'moved-in' });
      });
    } finally {
      for (const secret of entries.values()) secret.fill(0);
    }
    await this.refresh();
  }

  async #moveEarly(name: string): Promise<void> {
    const secret = await this.#local.read(name);
    if (secret === undefined || (await this.names()).includes(name)) return;
    try {
      await this.add(name, secret);
    } finally {
      secret.fill(0);
    }
  }

  /** The node's own key, made and kept in the data folder if there is none. */
  async #takeNodeKey(): Promise<NodeKey> {
    if ((await this.#local.names()).includes(nodeKeyName)) return this.#nodeKey();
    const pem = newNodeKey();
    try {
      await this.#local.add(nodeKeyName, pem);
    } finally {
      pem.fill(0);
    }
    return this.#nodeKey();
  }

  /** Removes from the data folder what is in the store. */
  async #dropLocal(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    for (const name of await this.#local.names()) {
      if (name === nodeKeyName) continue;
      const [own, shared] = [await this.#local.read(name), openEntry(opened.document, opened.kek, name)];
      const same = own !== undefined && shared !== undefined && equalBytes(own, shared);
      own?.fill(0);
      shared?.fill(0);
      if (same) await this.#local.remove(name);
    }
  }
}

/** PKCS #8 PEM of a new P-256 key; the caller zeroes it. */
export function newNodeKey(): Uint8Array {
  return privatePem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}
