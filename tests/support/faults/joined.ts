// Further nodes of a hub that runs in this process, by one-time codes, as an operator makes them; each opens its keys by a program.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeJoinCode, joinCodePublicKey, joinSecretLength } from '@edgekeep/core/authority/join-code';
import { toBase64url } from '@edgekeep/core/bytes';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { joinHub } from '@edgekeep/hub/commands/join';
import { inviteResponse } from '@edgekeep/wire/api/node';
import type { HubWorld } from '../hub-world.ts';
import type { NodePlace } from './nodes.ts';

export interface SealedKeys {
  readonly secret: Uint8Array;
  readonly settings: { readonly unlockProgram: readonly string[] };
}

/** A secret, and the program that gives it to a hub. */
export async function sealedKeys(opened: AsyncDisposableStack): Promise<SealedKeys> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-unlock-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const secret = new Uint8Array(randomBytes(32));
  const file = join(folder, 'secret');
  await writeFile(file, secret, { mode: 0o600 });
  return { secret, settings: { unlockProgram: ['/bin/cat', file] } };
}

/** Has as many new folders join the running hub, one after the other. */
export async function joinNodes(world: HubWorld, count: number, keys: SealedKeys): Promise<readonly NodePlace[]> {
  const places: NodePlace[] = [];
  for (let at = 0; at < count; at += 1) places.push(await joinNode(world, `node-${at + 2}`, keys));
  return places;
}

/** Has a new folder join the running hub. */
async function joinNode(world: HubWorld, name: string, { secret, settings }: SealedKeys): Promise<NodePlace> {
  const folder = join(world.folder, name);
  const [der = new Uint8Array(0)] = parsePem(world.hub.rootPem, 'CERTIFICATE');
  const rootSha256 = certificateDigest(parseCertificate(der));
  const code = { rootSha256, secret: new Uint8Array(randomBytes(joinSecretLength)) };
  const body = { name, publicKey: toBase64url(joinCodePublicKey(code)), lifeSeconds: 600 };
  await world.operator.send('POST', '/v1/nodes/invitations', body, inviteResponse);
  const unlocker = () => ({ kind: 'program' as const, secret: Uint8Array.from(secret) });
  await joinHub(folder, {
    code: encodeJoinCode({ ...code, url: httpsUrl(world.hub.operatorAddress), serverName: 'localhost' }),
    unlockers: async () => [unlocker()],
    offer: async () => unlocker(),
    ownSettings: { ...settings, device: { port: 0 }, operator: { port: 0 }, logLevel: 'silent' },
    nowMs: Date.now,
  });
  return { folder, operatorFile: world.operatorFile, rootPem: world.hub.rootPem };
}
