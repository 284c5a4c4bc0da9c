// Asks the second implementation of ML-DSA, ML-KEM and X-Wing, in a process of its own.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';

const program = join(import.meta.dirname, 'noble-peer.mjs');
const answer = z.record(z.string(), z.union([z.string(), z.boolean()]));

/** The answer to one request; bytes go and come as they are. Throws with what the program said when it fails. */
export function noble(
  verb: string,
  algorithm: string,
  input: Readonly<Record<string, Uint8Array>>,
): Readonly<Record<string, Buffer | boolean>> {
  const encoded = Object.entries(input).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  const request = JSON.stringify({ verb, algorithm, ...Object.fromEntries(encoded) });
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { input: request, encoding: 'utf8' });
  if (status !== 0) throw new Error(`@noble/post-quantum: ${stderr}`);
  const values = Object.entries(answer.parse(JSON.parse(stdout)));
  return Object.fromEntries(
    values.map(([name, value]) => [name, typeof value === 'string' ? Buffer.from(value, 'base64') : value]),
  );
}

/** A member of an answer that has bytes. */
export function bytesOf(value: Buffer | boolean | undefined): Buffer {
  if (Buffer.isBuffer(value)) return value;
  throw new TypeError('expected bytes in the answer of @noble/post-quantum');
}
