// The plaintext of one opened file over a channel, a block at a time; each block is zeroed when it has left.
import { read } from 'node:fs';
import { promisify } from 'node:util';
import type { GuardChannel } from './guard-channel.ts';

const readAt = promisify(read);
const blockBytes = 1024 * 1024;

/**
 * Throws when the file is shorter than `size`. If the channel closes, it returns silently, because the end of the guard is reported
 * elsewhere.
 */
export async function sendFile(channel: GuardChannel, descriptor: number, size: number): Promise<void> {
  for (let offset = 0; offset < size;) {
    const block = Buffer.allocUnsafeSlow(Math.min(blockBytes, size - offset));
    const { bytesRead } = await readAt(descriptor, block, 0, block.length, offset);
    if (bytesRead === 0) throw new RangeError(`it ends after ${offset} of ${size} bytes`);
    const sent = await channel.sendBytes(block.subarray(0, bytesRead));
    block.fill(0);
    if (!sent) return;
    offset += bytesRead;
  }
}
