// Makes a new hub: keys, settings, the store, and the first API token, in a folder that must not contain a hub yet. A run that fails or is
// killed leaves nothing that keeps the next one from making it (unfinished-init.ts).
import { personNameSchema } from '@edgekeep/wire/api/people';
import { makeFolder } from '@edgekeep/host/make-folder';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { statSync } from 'node:fs';
import { readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { exists } from '@edgekeep/host/missing-file';
import { encodePem } from '@edgekeep/core/identity/pem';
import { PolicyStore } from '../access/policy-store.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { addPerson } from '../people/people.ts';
import { addToken, newTokenText } from '../people/token-store.ts';
import { appendEntry } from '../audit/append.ts';
import { initialCertificateFiles, operatorFileName, readInitialCertificates } from '../secrets/initial-certificates.ts';
import { HubError } from '../common/error.ts';
import { namesInSettings, reachableName, rememberHubNames } from '../store/hub-names.ts';
import { createHubKeys } from '../secrets/hub-keys.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import type { NewUnlocker } from '../secrets/unlock.ts';
import { encodeHubSettings, type HubSettings, settingsFileName } from '../settings.ts';
import { Database, type WriteTransaction } from '../store/database.ts';
import type { StorePlace } from '../store/engine/place.ts';
import { lockFileName, lockFolder } from '../store/folder-lock.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import { newStoreAt } from './new-store.ts';
import { beginInit } from './unfinished-init.ts';

// The default name when none is given; `edgekeep person add` adds other people.
const firstPerson = 'admin';

export interface NewHub {
  readonly folder: string;
  /** The folder with the root key: take it offline. Undefined for a hub that waits for an offline root. */
  readonly rootKeyFile: string | undefined;
  /** The request that an offline root must sign first, if there is one. */
  readonly requestFile: string | undefined;
  /** What the command line reads to reach the hub: address, pinned root, token. Only its user can read it. */
  readonly operatorFile: string;
}

export interface InitOrder {
  /** The folder where a root is made; its key must then be taken offline. Without it, an offline root signs the hub's request. */
  readonly rootFolder?: string | undefined;
  readonly settings: HubSettings;
  readonly nowMs: number;
  /** The unlockers for the hub's keys; with none the keys are plain files. */
  readonly unlockers?: readonly NewUnlocker[];
  /** The folder that their shares are written to, if there are some. */
  readonly shareFolder?: string | undefined;
  /** Where the request for an offline root is written. */
  readonly requestFile?: string | undefined;
  /** The person who gets the first API token. */
  readonly person?: string | undefined;
  /** The first policy; left out: the default one. */
  readonly policyText?: string | undefined;
}

export async function initHub(folder: string, order: InitOrder): Promise<NewHub> {
  const topmost = await makeFolder(folder, { mode: 0o700 });
  if (await exists(join(folder, settingsFileName))) {
    throw new HubError('conflict', `${folder} holds a hub already: \`edgekeep hub run --data ${folder}\` starts it`);
  }
  const wasLockedBefore = await exists(join(folder, lockFileName));
  try {
    using _ = lockFolder(folder);
    const place = placeOfStore(folder, order.settings);
    const store = await newStoreAt(place);
    const unfinished = await beginInit(folder, { ...order, discardStore: store.discard });
    try {
      await store.assertEmpty();
      const made = await makeHub(folder, order, place, (trx) => store.mark(trx, unfinished.id));
      await unfinished.finish();
      return made;
    } catch (error) {
      await unfinished.undo();
      throw error;
    }
  } catch (error) {
    if (!wasLockedBefore) await removeMade(folder, topmost);
    throw error;
  }
}

/** The lock and the folders of a run that made no hub. */
async function removeMade(folder: string, topmost: string | undefined): Promise<void> {
  try {
    await rm(join(folder, lockFileName), { force: true });
    for (let at = topmost === undefined ? undefined : resolve(folder); at !== undefined;) {
      await rmdir(at);
      at = at === topmost ? undefined : dirname(at);
    }
  } catch {
    // A disk that is read-only, or something of others is in the folder: the error that follows says what to do.
  }
}

async function makeHub(
  folder: string,
  order: InitOrder,
  place: StorePlace,
  mark: (trx: WriteTransaction) => Promise<void>,
): Promise<NewHub> {
  const { rootFolder, settings, nowMs, unlockers = [], person = firstPerson, policyText, requestFile } = order;
  const { trustDomain } = settings.workloads;
  const { logOrigin } = settings;
  await createHubKeys(folder, { rootFolder, unlockers, trustDomain, logOrigin, nowSeconds: Math.floor(nowMs / 1_000) });
  for (const roots of ['vendor-roots', 'dice-roots', 'idevid-roots']) await makeFolder(join(folder, roots));
  const token = newTokenText();
  const expiresAtMs = nowMs + settings.tokens.bootstrapHours * 3_600_000;
  const names = namesInSettings(settings);
  {
    await using database = await Database.open(place, 'optional', undefined, mark);
    await database.write((trx) => recordFirst(trx, { token, person, names, expiresAtMs, nowMs }));
    if (policyText !== undefined) await PolicyStore.replace(database, { text: policyText, actor: 'hub', nowMs });
  }
  const operatorFile = join(folder, operatorFileName);
  const operator = {
    url: httpsUrl({ host: hereIfEverywhere(settings.operator.host), port: settings.operator.port }),
    serverName: reachableName(settings.names),
    // With an offline root `hub install-issuing` writes it in.
    root: rootFolder === undefined ? '' : encodePem('CERTIFICATE', (await readInitialCertificates(folder)).root.der),
    token,
    bootstrap: true,
  };
  await writeNewFile(operatorFile, `${JSON.stringify(operator, null, 2)}\n`);
  if (requestFile !== undefined)
    await writeNewFile(requestFile, await readFile(join(folder, 'keys', initialCertificateFiles.request)), 0o644);
  // Last, because its presence marks the hub as complete.
  await writeNewFile(join(folder, settingsFileName), encodeHubSettings(settings));
  return {
    folder,
    rootKeyFile: rootFolder === undefined ? undefined : join(rootFolder, 'root-key.pem'),
    requestFile: rootFolder === undefined ? join(folder, 'keys', initialCertificateFiles.request) : undefined,
    operatorFile,
  };
}

/** A listener on all interfaces is reached by this machine at its loopback address. */
function hereIfEverywhere(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

/** The entry that begins the log, and the bootstrap token of the first person. */
async function recordFirst(
  trx: WriteTransaction,
  first: {
    readonly token: string;
    readonly person: string;
    readonly names: readonly string[];
    readonly expiresAtMs: number;
    readonly nowMs: number;
  },
): Promise<void> {
  const { token, person, expiresAtMs, nowMs } = first;
  const names = await rememberHubNames(trx, first.names, nowMs);
  await appendEntry(trx, { at: nowMs, kind: 'hub-initialised', actor: 'hub', subject: 'hub', data: { names } });
  await addPerson(trx, { name: person, actor: 'hub', nowMs });
  await addToken(trx, {
    sha256: sha256Hex(token),
    name: 'admin',
    person,
    roles: ['administrator'],
    scopes: [],
    expiresAtMs,
    bootstrap: true,
    derivedFrom: undefined,
    actor: 'hub',
    nowMs,
  });
}

/** In a folder the request has the hub and the day in its name, so that the requests of two hubs are never mixed up. */
export function requestPlace(path: string, { names }: Pick<HubSettings, 'names'>, nowMs: number): string {
  const isFolder = path.endsWith('/') || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const hub = (reachableName(names) ?? 'hub').replaceAll(/[^a-z0-9.-]/g, '-');
  return isFolder ? join(path, `issuing-${hub}-${new Date(nowMs).toISOString().slice(0, 10)}.csr`) : path;
}

/** Throws `request-invalid` for a name that no person can have. */
export function parsePerson(text: string): string {
  const { success, data } = personNameSchema.safeParse(text);
  if (success) return data;
  throw new HubError('request-invalid', '--person takes 1 to 40 of a-z, 0-9, dot, dash and underscore');
}
