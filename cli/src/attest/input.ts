// Reads the files and option values that the attest verbs share. Files are untrusted and limited in size.
import { createReadStream } from 'node:fs';
import { concat } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { UsageError } from '../command.ts';

/**
 * The whole file; throws `bytes-too-long` when it holds more than `maxBytes` bytes. Reads to the end, because files of /sys have wrong sizes.
 */
export async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const stream: AsyncIterable<Uint8Array> = createReadStream(path);
  for await (const part of stream) {
    length += part.length;
    if (length > maxBytes) throw new CoreError('bytes-too-long', `${path}: more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return concat(...parts);
}

/** `0,2,7-9` or `sha256:0,2` to ascending PCR numbers. */
export function parsePcrs(text: string): readonly number[] {
  const pcrs = new Set<number>();
  for (const part of text.replace(/^sha256:/, '').split(',')) {
    const match = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last > 23 || first > last) throw new UsageError(`PCRs are given as 0,2,7-9, found ${text}`);
    for (let pcr = first; pcr <= last; pcr += 1) pcrs.add(pcr);
  }
  return [...pcrs].sort((a, b) => a - b);
}
