// `edgekeep hub join`: a new machine becomes a node of a hub, with a one-time code (spec/platform-secrets.md, "A code to join"). Its own key is sealed
// on the disk before the code is used, so a run that was killed goes on; the settings come last and say that the node is whole.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import {
  joinCodeId,
  joinCodeKey,
  joinCodePublicKey,
  type JoinCode,
  parseJoinCode,
  signJoinRequest,
} from '@edgekeep/core/authority/join-code';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parseJson } from '@edgekeep/core/json';
import { signerFromKey } from '@edgekeep/core/signer';
import { syncFolder, writeNewFile } from '@edgekeep/host/durable-file';
import { makeFolder } from '@edgekeep/host/make-folder';
import { exists, orIfMissing } from '@edgekeep/host/missing-file';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import { joinResponse } from '@edgekeep/wire/api/node';
import { WireError } from '@edgekeep/wire/error';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import { fetchRoot } from '@edgekeep/wire/link/unknown-root';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { writeNodeFile } from '../node/node-file.ts';
import { hubKeysOf } from '../node/open.ts';
import { newNodeKey, nodeKeyName } from '../node/shared-keys.ts';
import { initialCertificateFiles } from '../secrets/initial-certificates.ts';
import { openSealed } from '../secrets/open-keys.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { SealedFile } from '../secrets/sealed-file.ts';
import { readSealedFile, writeSealedKeys } from '../secrets/sealed-keys.ts';
import type { NewUnlocker, Offer } from '../secrets/unlock.ts';
import { encodeHubSettings, type HubSettings, parseHubSettings, settingsFileName } from '../settings.ts';
import { lockFolder } from '../store/folder-lock.ts';
import { placeOfStore } from '../store/place-of-store.ts';

const noteName = 'hub-join-unfinished.json';

/** Whether a run of `hub join` did not finish in this folder. */
export function isHalfJoined(folder: string): boolean {
  return existsSync(join(folder, noteName)) && !existsSync(join(folder, settingsFileName));
}

const noteSchema = z.strictObject({ type: z.literal('edgekeep-hub-join/v1'), code: z.string() });

export interface JoinOrder {
  /** As `edgekeep hub invite` printed it. */
  readonly code: string;
  /** Made where no earlier run has sealed the node's key. */
  readonly unlockers: () => Promise<readonly NewUnlocker[]>;
  /** Opens what was sealed here. */
  readonly offer: (file: SealedFile) => Promise<Offer>;
  /** Settings of this machine, over those that all nodes share. */
  readonly ownSettings: Readonly<Record<string, unknown>>;
  readonly nowMs: () => number;
}

export interface JoinedHub {
  readonly name: string;
  readonly hub: string;
}

/** Throws `join-refused`, `conflict`, or why the hub or its store cannot be reached: then it is run again. */
export async function joinHub(folder: string, order: JoinOrder): Promise<JoinedHub> {
  const code = parseCode(order.code);
  await makeFolder(folder, { mode: 0o700 });
  if (await exists(join(folder, settingsFileName)))
    throw new HubError('conflict', `${folder} holds a hub already: join with an empty folder`);
  using _ = lockFolder(folder);
  const pem = await ownKey(folder, code, order);
  try {
    return await joinWith(pem, folder, code, order);
  } finally {
    pem.fill(0);
  }
}

async function joinWith(pem: Uint8Array, folder: string, code: JoinCode, order: JoinOrder): Promise<JoinedHub> {
  const answer = await ask(code, createPrivateKey(Buffer.from(pem)));
  const settings = settingsOf(answer.settings, order.ownSettings);
  await writeNodeFile(folder, { type: 'edgekeep-node/v1', ...answer.node, keys: answer.keys });
  // Whether this machine reaches the store and opens the keys there; else the folder stays unfinished.
  await using keys = await hubKeysOf(folder, placeOfStore(folder, settings), only(pem), order.nowMs);
  await keys.names();
  await writeOnce(join(folder, 'keys', initialCertificateFiles.root), answer.root);
  await writeOnce(join(folder, 'keys', initialCertificateFiles.issuing), answer.issuing);
  for (const roots of ['vendor-roots', 'dice-roots', 'idevid-roots']) await makeFolder(join(folder, roots));
  await writeNewFile(join(folder, settingsFileName), encodeHubSettings(settings));
  await rm(join(folder, noteName), { force: true });
  await syncFolder(folder);
  return { name: answer.node.name, hub: code.url };
}

function parseCode(text: string): JoinCode {
  try {
    return parseJoinCode(text);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('request-invalid', cause.message, { cause });
  }
}

/** The node's own key, PEM: that of an earlier run with this code, or a new one, sealed. The caller zeroes it. */
async function ownKey(folder: string, code: JoinCode, order: JoinOrder): Promise<Uint8Array> {
  const keys = join(folder, 'keys');
  const id = joinCodeId(joinCodePublicKey(code));
  const note = await orIfMissing(readFile(join(folder, noteName)), undefined);
  const isSame = note !== undefined && note.length > 0 && parseJson(note, noteSchema, noteName).code === id;
  if (isSame && (await exists(join(keys, 'sealed.json')))) {
    return openOwn(keys, order);
  }
  if (note !== undefined) await rm(keys, { recursive: true, force: true });
  else if (await exists(keys)) throw new HubError('conflict', `${keys} exists: join with an empty folder`);
  await rm(join(folder, noteName), { force: true });
  const unlockers = await order.unlockers();
  if (unlockers.length === 0)
    throw new HubError(
      'request-invalid',
      'a node needs an unlocker of its own: --unlock passphrase, shares:K/N or program:/PATH',
    );
  await writeNewFile(join(folder, noteName), `${JSON.stringify({ type: 'edgekeep-hub-join/v1', code: id })}\n`);
  await makeFolder(keys, { mode: 0o700 });
  const pem = newNodeKey();
  await writeSealedKeys(keys, new Map([[nodeKeyName, pem]]), unlockers);
  return pem;
}

async function openOwn(keys: string, { offer }: JoinOrder): Promise<Uint8Array> {
  const file = await readSealedFile(keys);
  if (file === undefined) throw new HubError('sealed-keys-invalid', `${keys} holds no sealed keys`);
  await using sealed = await openSealed(keys, await offer(file));
  const pem = await sealed.read(nodeKeyName);
  if (pem !== undefined) return pem;
  throw new HubError('sealed-keys-invalid', `the sealed keys have no ${nodeKeyName}: empty the folder`);
}

/** The sealed keys of the folder without opening them again, which would ask a person twice. */
function only(pem: Uint8Array): KeyStore {
  const refuse = () => Promise.reject(new TypeError('a node that joins makes no key'));
  return {
    protection: 'sealed',
    names: async () => [nodeKeyName],
    read: async (name) => (name === nodeKeyName ? Uint8Array.from(pem) : undefined),
    add: refuse,
    remove: refuse,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function ask(code: JoinCode, nodeKey: KeyObject): Promise<z.infer<typeof joinResponse>> {
  const { host, port } = parseWebAddress(code.url);
  try {
    const root = await fetchRoot({ host, port, sha256: code.rootSha256, path: '/v1/join' });
    const named = code.serverName === undefined ? {} : { serverName: code.serverName };
    await using connection = await HubConnection.open({ host, port, ...named, authoritiesPem: [root] });
    const request = {
      code: joinCodeId(joinCodePublicKey(code)),
      binding: connection.binding,
      root: toHex(code.rootSha256),
      nodeKey: encodeSpki(signerFromKey(nodeKey).publicKey),
    };
    const signature = toBase64url(signJoinRequest(request, joinCodeKey(code)));
    const body = JSON.stringify({ code: request.code, nodeKey: toBase64url(request.nodeKey), signature });
    const headers = { 'content-type': 'application/json' };
    const answer = await connection.request({ method: 'POST', path: '/v1/join', body, headers });
    if (answer.status !== 200) throw refusal(answer.body);
    return parseJson(answer.body, joinResponse, 'the answer of the hub');
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new HubError('join-refused', `${cause.message}; nothing was changed, run it again`, { cause });
  }
}

function refusal(body: Uint8Array): HubError {
  const { error } = parseJson(body, errorResponse, 'the answer of the hub');
  return new HubError('join-refused', error.message);
}

/** Groups of this machine go over those of the hub member by member. */
function settingsOf(shared: Readonly<Record<string, unknown>>, own: Readonly<Record<string, unknown>>): HubSettings {
  const groups = Object.entries(own).map(([name, value]: [string, unknown]): [string, unknown] => {
    const other = shared[name];
    return [name, isGroup(value) && isGroup(other) ? { ...other, ...value } : value];
  });
  return parseHubSettings({ ...shared, ...Object.fromEntries(groups) }, 'the settings of the node');
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// A run that was killed may have written it.
async function writeOnce(path: string, text: string): Promise<void> {
  if (!(await exists(path))) await writeNewFile(path, text, 0o644);
}
