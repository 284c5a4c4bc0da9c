// A real S3 server: Debian's swift with s3api, on loopback, as an ordinary user, in a temporary folder.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import { ending } from './child.ts';

/** Debian's own Python has swift; another that is first in the path has not. */
const python = '/usr/bin/python3';
const isInstalled = existsSync('/usr/lib/python3/dist-packages/swift/common/middleware/s3api/s3api.py');
const missing = 'swift is not installed: `node scripts/setup.mjs test`';
export const skipWithoutSwift: string | false = isInstalled ? false : missing;
if (!isInstalled && process.env['CI'] === 'true' && process.getuid?.() === 0) throw new Error(missing);

export interface Swift extends AsyncDisposable {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secret: string;
  /** The settings of a hub for it, without its secret. */
  readonly settings: {
    readonly kind: 's3';
    readonly endpoint: string;
    readonly bucket: string;
    readonly accessKeyId: string;
  };
}

const swiftBucket = 'edgekeep-models';

/** Resolves when it accepts; with a certificate it serves HTTPS. */
export async function startSwift(tls?: { readonly certificate: string; readonly key: string }): Promise<Swift> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-swift-'));
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const data = join(folder, 'data');
  await mkdir(data);
  const drop = ordinaryUser();
  const files = tls === undefined ? [] : [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  if (tls !== undefined) {
    await writeFile(files[0] ?? '', tls.certificate);
    await writeFile(files[1] ?? '', tls.key);
  }
  if (drop !== undefined) {
    await chmod(folder, 0o755);
    for (const path of [data, ...files]) chownSync(path, drop.uid, drop.gid);
  }
  const words = drop === undefined ? [] : ['--reuid', `${drop.uid}`, '--regid', `${drop.gid}`, '--clear-groups'];
  const secret = randomBytes(16).toString('hex');
  // That user has no way into a checkout in the home of root.
  const server = join(folder, 'server.py');
  await copyFile(join(import.meta.dirname, 'swift-server.py'), server);
  const program = [python, server, data, 'edgekeep', secret, ...files];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...words, ...program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/tmp',
  });
  opened.use(ending(child));
  const accepting = Promise.withResolvers<number>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => accepting.resolve(Number(text.trim())));
  child.once('exit', () => accepting.reject(new Error('swift ended')));
  const endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${await accepting.promise}`;
  const accessKeyId = 'hub:edgekeep';
  const running = opened.move();
  const settings = { kind: 's3', endpoint, bucket: swiftBucket, accessKeyId } as const;
  return { endpoint, accessKeyId, secret, settings, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Makes the bucket of its settings, where it is missing. */
export async function makeSwiftBucket({ endpoint, accessKeyId, secret, settings }: Swift): Promise<void> {
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey: secret,
    service: 's3',
    region: 'us-east-1',
    retries: 0,
  });
  const made = await client.fetch(`${endpoint}/${settings.bucket}`, { method: 'PUT' });
  if (![200, 409].includes(made.status)) throw new Error(await made.text());
}

/** Root runs it as nobody. */
function ordinaryUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}
