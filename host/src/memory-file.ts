// Plaintext for a program that needs a file: anonymous (it never has a name), in memory (tmpfs), seekable, passed on only as a descriptor.
// When the last descriptor closes, also by kill -9, the kernel frees its pages. The pages may be swapped: `edgekeep doctor` checks for
// swap.
import { constants } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { HostError } from './error.ts';

/** open(2) O_TMPFILE, which node:fs does not name: a file without a directory entry. */
const temporaryFile = 0o20000000 | constants.O_DIRECTORY;
/** With O_EXCL nobody can give the file a name later, not even through /proc. */
const flags = temporaryFile | constants.O_RDWR | constants.O_EXCL;
/** statfs(2) f_type of tmpfs. */
const tmpfsMagic = 0x01021994;
const wipeBlockBytes = 1 << 20;

export class MemoryFile {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Throws `memory-file-unavailable` when `folder` is missing, not a tmpfs, or does not take anonymous files. */
  static async create(folder = '/dev/shm'): Promise<MemoryFile> {
    const type = await statfs(folder).then(
      (found) => found.type,
      (cause: unknown) => {
        throw new HostError('memory-file-unavailable', `${folder} is missing: mount a tmpfs there`, { cause });
      },
    );
    if (type !== tmpfsMagic) {
      throw new HostError('memory-file-unavailable', `${folder} is not a tmpfs: plaintext could reach a disk`);
    }
    const file = await open(folder, flags, 0o600).catch((cause: unknown) => {
      throw new HostError('memory-file-unavailable', `${folder} takes no anonymous file`, { cause });
    });
    return new MemoryFile(file);
  }

  /** For a child process: `spawn(command, { stdio: [0, 1, 2, file.descriptor] })`. Its position is 0 until a holder reads. */
  get descriptor(): number {
    return this.#file.fd;
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  /** Writes all of `bytes` at `offset`, without moving the position. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, written, bytes.length - written, offset + written);
      written += bytesWritten;
    }
  }

  /** Up to `length` bytes from `offset`, without moving the position. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  /** Overwrites everything with zeros and truncates; a program that still holds the descriptor then reads nothing. */
  async wipe(): Promise<void> {
    const size = await this.size();
    const zeros = new Uint8Array(Math.min(size, wipeBlockBytes));
    for (let offset = 0; offset < size; offset += wipeBlockBytes) {
      await this.write(zeros.subarray(0, Math.min(wipeBlockBytes, size - offset)), offset);
    }
    await this.#file.truncate(0);
  }

  /** Wipes, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.wipe();
    } finally {
      await this.#file.close();
    }
  }
}
