// For tests: a bucket in memory, whose owner may change what is in it.
import type { Bucket, ByteRange, ListedObject } from './bucket.ts';

export class TestBucket implements Bucket {
  readonly objects = new Map<string, Uint8Array>();
  readonly #modified = new Map<string, number>();
  /** The server's. */
  clock: () => number = () => 0;
  readonly ranges: ByteRange[] = [];
  /** Whether a listing names what was not asked for. */
  listsAll = false;
  /** Called before each operation; throws what the server would answer. */
  before: (operation: string, key: string) => void | Promise<void> = () => undefined;

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.before('put', key);
    this.objects.set(key, Buffer.from(bytes));
    this.#modified.set(key, this.clock());
  }

  async get(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    await this.before('get', key);
    this.ranges.push(range);
    return this.objects.get(key)?.subarray(range.start, range.end + 1);
  }

  async getWhole(key: string): Promise<Uint8Array | undefined> {
    await this.before('get', key);
    return this.objects.get(key);
  }

  async remove(key: string): Promise<void> {
    await this.before('delete', key);
    this.objects.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    await this.before('list', prefix);
    for (const [key, bytes] of this.objects)
      if (this.listsAll || key.startsWith(prefix))
        yield { key, size: bytes.length, modifiedMs: this.#modified.get(key) ?? 0 };
  }
}
