import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { openFile } from '@edgekeep/core/model/sealed-file';
import type { Operator } from '../operator.ts';
import { HubRefusal, Unreachable } from '../refusal.ts';
import { TransferProgress } from './transfer-progress.ts';
import { uploadFile } from './upload.ts';

const modelKey = randomBytes(32);
const binding = { path: 'weights/w.bin', manifestDigest: new Uint8Array(32) };
const plain = randomBytes(5_000_000);

/** A hub that loses the connection after a number of bytes at each try, and keeps the received bytes. */
function losingHub(loses: readonly number[], { differs = false } = {}) {
  let kept = Buffer.alloc(0);
  const tries: number[] = [];
  const upload = async (source: Readable, headers: Readonly<Record<string, string>>): Promise<void> => {
    const offset = Number(headers['upload-offset'] ?? 0);
    tries.push(offset);
    if (differs && offset > 0) throw new HubRefusal(409, 'upload-differs', 'other bytes');
    kept = kept.subarray(0, offset);
    if (offset > 0) assert.equal(headers['upload-sha256'], createHash('sha256').update(kept).digest('hex'));
    const maxBytes = loses[tries.length - 1];
    for await (const chunk of source) {
      kept = Buffer.concat([kept, chunk]);
      if (maxBytes !== undefined && kept.length >= offset + maxBytes) {
        kept = kept.subarray(0, offset + maxBytes);
        throw new Unreachable('connection lost');
      }
    }
  };
  const unused = () => Promise.reject(new TypeError('not asked here'));
  const operator: Operator = {
    get: async (_path, schema) => schema.parse({ offset: kept.length }),
    upload: async (_path, source, schema, headers = {}) => {
      await upload(source, headers);
      return schema.parse({ path: binding.path, sealedSize: kept.length, sealedSha256: '0'.repeat(64) });
    },
    send: unused,
    sendLines: unused,
    getBytes: unused,
  };
  return { operator, tries, sealed: () => kept };
}

async function send(operator: Operator): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-upload-'));
  let said = '';
  try {
    const file = join(folder, 'w.bin');
    await writeFile(file, plain);
    const output = { isTerminal: false, write: (text: string) => void (said += text) };
    const progress = new TransferProgress(output, 'w.bin', plain.length);
    await uploadFile(operator, {
      file,
      modelKey,
      binding,
      release: '/v1/models/m/1.0.0',
      progress,
      backoffMs: () => 0,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
  return said;
}

async function opened(sealed: Uint8Array): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const source = (async function* whole() {
    yield sealed;
  })();
  for await (const part of openFile(source, modelKey, binding)) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

test('an upload over a connection that is lost again and again ends as one sealed file that opens', async () => {
  const hub = losingHub([1_500_000, 10, 2_200_000]);
  const said = await send(hub.operator);
  assert.deepEqual(await opened(hub.sealed()), plain);
  assert.equal(hub.tries.length, 4);
  // Only whole segments count as sent, and nothing received is sent again beyond them.
  assert.ok((hub.tries[1] ?? 0) >= 1_000_000 && (hub.tries[3] ?? 0) >= 3_000_000, String(hub.tries));
  assert.match(said, /connection lost: continuing/);
});

test('no segment is sealed twice under one nonce', async () => {
  const hub = losingHub([1_500_000]);
  const sent: Buffer[] = [];
  const operator: Operator = {
    ...hub.operator,
    upload: async (path, source, schema, headers) => {
      source.on('data', (chunk: Buffer) => sent.push(chunk));
      source.pause();
      return hub.operator.upload(path, source, schema, headers);
    },
  };
  await send(operator);
  // In a chunk with a whole segment, the first bytes after its length are its nonce.
  const nonces = sent.filter(({ length }) => length > 1_000).map((chunk) => chunk.subarray(4, 16).toString('hex'));
  assert.equal(new Set(nonces).size, nonces.length);
});

test('where the hub has other bytes the file is sent from its beginning', async () => {
  const hub = losingHub([1_500_000], { differs: true });
  await send(hub.operator);
  assert.deepEqual(
    hub.tries.map((offset) => offset > 0),
    [false, true, false],
  );
  assert.deepEqual(await opened(hub.sealed()), plain);
});

test('a hub that never takes a byte is given up', async () => {
  const hub = losingHub(Array.from({ length: 50 }, () => 1));
  await assert.rejects(send(hub.operator), { code: 'unreachable' });
});
