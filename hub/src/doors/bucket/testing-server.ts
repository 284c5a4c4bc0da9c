// For tests: an S3 server that answers what a test says, on loopback.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hubSettingsSchema } from '../../settings.ts';
import { openBucket } from './open-bucket.ts';
import { S3Bucket } from './s3-bucket.ts';
import { S3Requests, type TimeLimits } from './s3-request.ts';

export type Script = (request: IncomingMessage, response: ServerResponse, at: number) => void;

export interface ScriptedBucket extends AsyncDisposable {
  readonly bucket: S3Bucket;
  readonly port: number;
  readonly requests: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[];
  /** How long the hub would have waited before each further try. */
  readonly waits: number[];
}

export const testSecret = 'a-secret-that-nobody-may-read-0123456789';

/** `nowMs` is what the hub's machine believes. */
export async function scriptedBucket(script: Script, nowMs = Date.now(), limits?: TimeLimits): Promise<ScriptedBucket> {
  const requests: ScriptedBucket['requests'] = [];
  const waits: number[] = [];
  const server = createServer((request, response) => {
    requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    const at = requests.length;
    request.resume().once('end', () => script(request, response, at));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no TCP address');
  const { port } = address;
  const root = `http://127.0.0.1:${port}/models/`;
  const sender = new S3Requests(
    { root, region: 'us-east-1', accessKeyId: 'KEY', ca: undefined, maxConnections: 4 },
    limits,
  );
  const wait = async (milliseconds: number) => {
    waits.push(milliseconds);
  };
  const secret = async () => testSecret;
  const bucket = new S3Bucket({ requests: sender, place: root, prefix: 'p/', secret, clock: () => nowMs, wait });
  return {
    bucket,
    port,
    requests,
    waits,
    async [Symbol.asyncDispose]() {
      sender[Symbol.dispose]();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** As the hub opens it, by settings. */
export async function openBySettings(folder: string, artifacts: object) {
  return openBucket(folder, hubSettingsSchema.parse({ artifacts }).artifacts, Date.now);
}

/** An error as real servers write it. */
export const errorXml = (code: string, more = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>A message.</Message>${more}<RequestId>4442587FB7D0A2F9</RequestId></Error>`;
