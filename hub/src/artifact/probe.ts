// Tries each right that the hub needs at its bucket, with an object that it removes again.
import { randomBytes } from 'node:crypto';
import { messageOf } from '@edgekeep/core/message-of';
import { HubError } from '../common/error.ts';
import type { Bucket } from './bucket.ts';

const PROBE_BYTES = 64;

export interface ProbeStep {
  readonly right: 's3:PutObject' | 's3:GetObject' | 's3:ListBucket' | 's3:DeleteObject';
  /** Undefined where it worked. */
  readonly error: Error | undefined;
}

/** In the order of their trial; ends with the first that says nothing about the others, such as an unreachable server. */
export async function probeBucket(bucket: Bucket): Promise<readonly ProbeStep[]> {
  const key = `probe/${randomBytes(8).toString('hex')}`;
  const bytes = randomBytes(PROBE_BYTES);
  const steps: ProbeStep[] = [];
  const trials: readonly (readonly [ProbeStep['right'], () => Promise<void>])[] = [
    ['s3:PutObject', () => bucket.put(key, bytes)],
    ['s3:GetObject', () => sameRange(bucket, key, bytes)],
    ['s3:ListBucket', () => listed(bucket, key)],
    ['s3:DeleteObject', () => bucket.remove(key)],
  ];
  for (const [right, trial] of trials) {
    const error = await trial().then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(messageOf(thrown))),
    );
    steps.push({ right, error });
    // Without an object the others would only say that it is missing.
    if (error !== undefined && (right === 's3:PutObject' || !isRefused(error))) break;
  }
  return steps;
}

const isRefused = (error: Error) => error instanceof HubError && error.code === 'artifacts-refused';

async function sameRange(bucket: Bucket, key: string, bytes: Buffer): Promise<void> {
  const [start, end] = [8, 39];
  const found = await bucket.get(key, { start, end });
  if (found === undefined) throw new HubError('artifact-lost', 'an object that was stored is not there a moment later');
  if (!bytes.subarray(start, end + 1).equals(found))
    throw new HubError('artifact-lost', 'a range of an object that was stored has other bytes a moment later');
}

async function listed(bucket: Bucket, key: string): Promise<void> {
  for await (const object of bucket.list('probe/')) if (object.key === key) return;
  throw new HubError('artifacts-refused', 'an object that was stored is not in the listing');
}
