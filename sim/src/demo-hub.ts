// The demo's hub and its publisher: made at the first start, used again at the next.
import { makeFolder } from '@edgekeep/host/make-folder';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { createPublicKey, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { exists } from '@edgekeep/host/missing-file';
import { claimHub } from '@edgekeep/cli/hub/claim';
import { operatorFromFile, type Operator } from '@edgekeep/cli/operator';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { initHub } from '@edgekeep/hub/commands/init';
import { parseHubSettings } from '@edgekeep/hub/settings';
import { type Hub, startHub } from '@edgekeep/hub/wiring/start';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { z } from 'zod';

export interface DemoHub {
  readonly hub: Hub;
  readonly operator: Operator;
  readonly operatorFile: string;
  readonly publisher: Signer;
  readonly publisherKeyFile: string;
  readonly publisherPublicFile: string;
  /** False when the data of an earlier start is used. */
  readonly isNew: boolean;
}

// Short, so that a running demo shows a lease renewal.
const demoLeaseSeconds = 600;

// A demo that was killed and started again must soon count its old connections as gone; several check-ins fit in.
const demoSilentSeconds = 10;

/** Left out: the usual one when it is free, else another. */
export interface DemoPorts {
  readonly device: number | undefined;
  readonly operator: number | undefined;
}

/** `vendorRoots` are PEM texts by file name. `say` reports a usual port that is in use; one that was chosen is not replaced. */
export async function startDemoHub(
  folder: string,
  vendorRoots: ReadonlyMap<string, string>,
  ports: DemoPorts,
  say: (line: string) => void,
): Promise<DemoHub> {
  const hubFolder = join(folder, 'hub');
  const operatorFile = join(hubFolder, 'operator.json');
  const isNew = !(await exists(operatorFile));
  const settings = parseHubSettings(
    {
      device: { port: ports.device ?? (await freePort(8443, say)) },
      operator: { port: ports.operator ?? (await freePort(8444, say)) },
      logOrigin: 'edgekeep.demo/log',
      leaseSeconds: demoLeaseSeconds,
      attestation: { coveredPcrs: [14] },
      identity: { silentSeconds: demoSilentSeconds },
      maxRequestsPerSecond: 100,
      logLevel: 'error',
    },
    'demo settings',
  );
  if (isNew)
    await initHub(hubFolder, { rootFolder: join(folder, 'root-key-keep-offline'), settings, nowMs: Date.now() });
  await makeFolder(join(hubFolder, 'vendor-roots'));
  for (const [name, pem] of vendorRoots) await writeFile(join(hubFolder, 'vendor-roots', name), pem);
  const hub = await startHub(hubFolder, settings);
  await rememberAddress(operatorFile, hub);
  await claimOnce(operatorFile);
  const operator = await operatorFromFile(operatorFile);
  const publisher = await openPublisher(join(folder, 'publisher'));
  const publicKey = encodePublicKeyPem(publisher.signer.publicKey);
  await operator.send('POST', '/v1/publishers', { name: 'demo publisher', publicKey }, publisherResponse);
  return {
    hub,
    operator,
    operatorFile,
    publisher: publisher.signer,
    publisherKeyFile: publisher.keyFile,
    publisherPublicFile: publisher.publicFile,
    isNew,
  };
}

// The demo's operator is a person with a token of their own, as on any hub.
async function claimOnce(operatorFile: string): Promise<void> {
  const { bootstrap } = z
    .looseObject({ bootstrap: z.boolean().optional() })
    .parse(JSON.parse(await readFile(operatorFile, 'utf8')));
  if (bootstrap === true)
    await claimHub({ from: operatorFile, out: operatorFile, name: 'operator', lifeSeconds: 31_536_000 });
}

async function rememberAddress(operatorFile: string, { operatorAddress }: Hub): Promise<void> {
  const file: object = JSON.parse(await readFile(operatorFile, 'utf8'));
  const url = httpsUrl(operatorAddress);
  await writeFile(operatorFile, `${JSON.stringify({ ...file, url }, null, 2)}\n`, { mode: 0o600 });
}

async function openPublisher(folder: string): Promise<{ signer: Signer; keyFile: string; publicFile: string }> {
  const keyFile = join(folder, 'key.pem');
  const publicFile = join(folder, 'key.pub.pem');
  if (!(await exists(keyFile))) {
    await makeFolder(folder, { mode: 0o700 });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  }
  const key = createPrivateKey(await readFile(keyFile));
  await writeFile(publicFile, encodePublicKeyPem(createPublicKey(await readFile(keyFile))));
  return { signer: signerFromKey(key), keyFile, publicFile };
}

/** `preferred`, or any free port when another program uses it. */
async function freePort(preferred: number, say: (line: string) => void): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      say(`port ${preferred} is in use on this machine: taking another one`);
      resolve(0);
    });
    probe.listen(preferred, '127.0.0.1', () => probe.close(() => resolve(preferred)));
  });
}
