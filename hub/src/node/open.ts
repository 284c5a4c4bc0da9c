// Opens this process's place among the nodes of a hub on PostgreSQL (docs/design/nodes.md). A hub on SQLite has one process and none of this.
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import type { Clock } from '../common/clock.ts';
import type { HubError } from '../common/error.ts';
import type { Subject } from '../common/subject.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database } from '../store/database.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { rowSqlOf } from '../store/engine/row-sql.ts';
import type { Tables } from '../store/schema.ts';
import { assertNode, claimNode, endClaim } from './claim.ts';
import { machineName, newNode, readNodeFile, writeNodeFile } from './node-file.ts';
import { type NodeProgress, NodeWatch, type NodeWatchDependencies } from './node-watch.ts';
import { SharedKeys } from './shared-keys.ts';

type Listening = { readonly host: string; readonly port: number };

export interface NodeSettings {
  readonly device: Listening;
  readonly operator: Listening;
  readonly nodes: NodeWatchDependencies['settings']['nodes'];
}

/** A node that runs. */
export interface NodeSubject extends Subject {
  readonly id: string;
  /** Names this process among those that are or were this node. */
  readonly process: string;
  readonly name: string;
  readonly keys: SharedKeys;
  readonly watch: NodeWatch;
  /** Resolves when this process is no node any more: it must end. */
  readonly ended: Promise<HubError>;
  readonly report: (progress: NodeProgress) => void;
}

/** Before the store is opened: the keys, and how to become a node afterwards. */
export interface StartingNode {
  readonly keyStore: KeyStore;
  /** Whether there may be other nodes: the keys are in the store. */
  readonly isShared: boolean;
  /** Undefined on SQLite. */
  readonly enter: ((database: Database, settings: NodeSettings) => Promise<NodeSubject>) | undefined;
  /**
   * Called when the log records changes of rows: keys of the store can be changed from then on, and sealed ones of a hub on PostgreSQL are there.
   * Undefined where the keys are in the data folder.
   */
  readonly shareKeys: ((database: Database) => Promise<void>) | undefined;
}

/**
 * The keys of the hub in this store, opened by the keys of the data folder, which it takes over. Refuses a folder that is no node of that hub
 * before anything is written. Throws `node-unknown`, `keys-put-back`, `sealed-keys-invalid`.
 */
export async function openNode(
  folder: string,
  place: StorePlace,
  local: KeyStore,
  clock: Clock,
): Promise<StartingNode> {
  if (typeof place === 'string') return openAlone(folder, place, local, clock);
  const reader = await openReader<Tables>(place);
  try {
    const known = await readNodeFile(folder);
    const file = known ?? newNode(machineName());
    const has = (table: keyof Tables) => rowSqlOf(reader).hasTable(reader, table);
    if (await has('node')) await assertNode(reader, known?.id);
    if (known === undefined) await writeNodeFile(folder, file);
    const db = (await has('key_document')) ? reader : undefined;
    const keys = await SharedKeys.open(folder, local, { file, db, clock });
    const enter = (database: Database, settings: NodeSettings) =>
      enterNode(database, settings, { folder, keys, clock });
    return { keyStore: keys, isShared: keys.areShared, enter, shareKeys: (database) => share(keys, database) };
  } finally {
    await reader.destroy();
  }
}

/** On SQLite the keys are in the folder; or in the store, of a hub that was on PostgreSQL before, or was restored from its backup. */
async function openAlone(folder: string, place: string, local: KeyStore, clock: Clock): Promise<StartingNode> {
  const alone = { isShared: false, enter: undefined };
  const file = await readNodeFile(folder);
  if (file === undefined || file.keys === null) return { ...alone, keyStore: local, shareKeys: undefined };
  const reader = await openReader<Tables>(place);
  try {
    const keys = await SharedKeys.open(folder, local, { file, db: reader, clock });
    return { ...alone, keyStore: keys, shareKeys: (database) => share(keys, database) };
  } finally {
    await reader.destroy();
  }
}

async function share(keys: SharedKeys, database: Database): Promise<void> {
  keys.attach(database);
  if (keys.areShared || database.isShared) await keys.moveIn();
}

async function enterNode(
  database: Database,
  settings: NodeSettings,
  { folder, keys, clock }: { readonly folder: string; readonly keys: SharedKeys; readonly clock: Clock },
): Promise<NodeSubject> {
  const { file } = keys;
  const { device, operator } = settings;
  const addresses = JSON.stringify({ device: endpointText(device), operator: endpointText(operator) });
  const claim = await claimNode(database, { folder, file, addresses, clock });
  const watch = new NodeWatch({ database, claim, clock, settings, keys });
  return {
    id: file.id,
    process: claim.claim,
    name: file.name,
    keys,
    watch,
    ended: watch.ended,
    report: (progress) => watch.report(progress),
    jobs: watch.jobs,
    metrics: watch.metrics,
    reload: () => keys.refresh(),
    // Without the store its claim lapses.
    [Symbol.asyncDispose]: async () => endClaim(database, claim).catch(() => undefined),
  };
}

/** The hub's keys for a tool that reads the store of a hub, and changes none of them; `local` is taken over. */
export async function hubKeysOf(folder: string, place: StorePlace, local: KeyStore, clock: Clock): Promise<KeyStore> {
  return (await openNode(folder, place, local, clock)).keyStore;
}
