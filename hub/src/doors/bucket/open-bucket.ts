// Opens the way to the bucket of the settings: where it is, whom it trusts, and its secret, which is read from a file or the environment and is
// in no message.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import { httpsUrl, parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { messageOf } from '@edgekeep/core/message-of';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import type { Bucket } from '../../artifact/bucket.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { HubSettings } from '../../settings.ts';
import { type BucketDependencies, S3Bucket } from './s3-bucket.ts';
import { S3Requests } from './s3-request.ts';

export interface OpenBucket extends Disposable {
  readonly bucket: Bucket;
  /** For people: `https://s3.example/models/edgekeep/`. */
  readonly place: string;
}

const artifactsSecretVariable = 'EDGEKEEP_ARTIFACTS_SECRET';
const SECRET_BYTES_MAX = 4_096;

/** Throws `settings-invalid` where the secret or the CA certificates cannot be read. Relative paths are in the data folder. */
export async function openBucket(
  folder: string,
  settings: HubSettings['artifacts'],
  clock: Clock,
  ended?: BucketDependencies['ended'],
): Promise<OpenBucket> {
  const { region, accessKeyId, maxConnections, prefix, caFile } = settings;
  const root = rootOf(settings);
  const ca = caFile === null ? undefined : await readTrusted(resolve(folder, caFile));
  const secret = secretSource(folder, settings);
  await secret(false);
  const requests = new S3Requests({ root, region, accessKeyId, ca, maxConnections });
  const place = `${root}${prefix}`;
  const wait = async (milliseconds: number, signal?: AbortSignal) =>
    pause(milliseconds, undefined, signal === undefined ? {} : { signal });
  const bucket = new S3Bucket({
    requests,
    place,
    prefix,
    secret,
    clock,
    wait,
    ...(ended === undefined ? {} : { ended }),
  });
  return { bucket, place, [Symbol.dispose]: () => requests[Symbol.dispose]() };
}

/** With a slash at the end. */
function rootOf({ endpoint, region, bucket, pathStyle }: HubSettings['artifacts']): string {
  const server = endpoint ?? httpsUrl({ host: `s3.${region}.amazonaws.com`, port: 443 });
  const { text } = parseWebAddress(pathStyle ? server : server.replace('://', `://${bucket}.`));
  const root = text.endsWith('/') ? text : `${text}/`;
  return pathStyle ? `${root}${bucket}/` : root;
}

/** The newest content of the file: it is read again when the server refuses what it had before. */
function secretSource(folder: string, { secretFile }: HubSettings['artifacts']): (again: boolean) => Promise<string> {
  let known: string | undefined;
  return async (again) => {
    if (known !== undefined && !again) return known;
    known = secretFile === null ? fromEnvironment() : await fromFile(resolve(folder, secretFile));
    return known;
  };
}

function fromEnvironment(): string {
  const secret = process.env[artifactsSecretVariable];
  if (secret !== undefined && secret !== '') return secret;
  throw new HubError(
    'settings-invalid',
    `no secret for artifacts.accessKeyId: put it into a file that only the hub's user can read (artifacts.secretFile), or into the environment variable ${artifactsSecretVariable}`,
  );
}

async function fromFile(path: string): Promise<string> {
  const refused = (problem: string, options?: ErrorOptions) =>
    new HubError('settings-invalid', `artifacts.secretFile: ${path}: ${problem}`, options);
  const rules = { maxBytes: SECRET_BYTES_MAX, forbidden: groupAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(path, rules, refused);
  const [secret = ''] = bytes?.toString('utf8').split(/\r?\n/) ?? [];
  bytes?.fill(0);
  if (secret === '') throw refused(bytes === undefined ? 'there is no such file' : 'it is empty');
  return secret;
}

async function readTrusted(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'utf8');
    // Somebody who may change it decides which server gets what the hub stores.
    const why = othersMayWrite(path);
    if (why !== undefined)
      throw new TypeError(`${why}. It and its folders must be yours or root's, and writable by nobody else`);
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new TypeError('it has no certificate in PEM');
    createSecureContext({ ca: pem });
    return pem;
  } catch (cause) {
    throw new HubError('settings-invalid', `artifacts.caFile: ${path}: ${messageOf(cause)}`, { cause });
  }
}
