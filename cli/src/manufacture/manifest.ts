// The manifest of a line (spec/manufacture.md, "Manifest"): one JSON object per device, as `edgekeep device import` takes it. Each line is
// on disk before the next device begins.
import { type FileHandle, open } from 'node:fs/promises';
import { CoreError } from '@edgekeep/core/error';
import { renameFormer } from '@edgekeep/core/former-names';
import { parseJson, parseValue } from '@edgekeep/core/json';
import { deviceIdSchema } from '@edgekeep/wire/api/device';
import { formerLineMembers, groupNameSchema, tagsSchema } from '@edgekeep/wire/api/registry';
import { z } from 'zod';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const manifestLine = z.strictObject({
  id: deviceIdSchema,
  rootSha256: sha256Hex,
  idevidSha256: sha256Hex,
  enrollmentGroup: groupNameSchema.optional(),
  tags: tagsSchema,
  groups: z.array(groupNameSchema).max(32).optional(),
});
export type ManifestLine = z.infer<typeof manifestLine>;

/** 100,000 lines with the maximum number of tags. */
const MANIFEST_BYTES_MAX = 512 * 1024 * 1024;
const lineFeed = 0x0a;
// Made once: making a schema takes longer than reading a line with it.
const anyValue = z.unknown();

export class Manifest implements AsyncDisposable {
  readonly #file: FileHandle;
  /** Its devices, by the serial number in lower case. */
  readonly lines: ReadonlyMap<string, ManifestLine>;
  readonly #lines: Map<string, ManifestLine>;

  private constructor(file: FileHandle, lines: Map<string, ManifestLine>) {
    this.#file = file;
    this.#lines = lines;
    this.lines = lines;
  }

  /** Opens or makes it; removes an incomplete last line. Throws `json-schema` and others for lines that are not a manifest's. */
  static async open(path: string): Promise<Manifest> {
    const file = await open(path, 'a+', 0o644);
    try {
      const { size } = await file.stat();
      if (size > MANIFEST_BYTES_MAX) throw new CoreError('bytes-too-long', `${path}: ${size} bytes, not a manifest`);
      const bytes = Buffer.alloc(size);
      await file.read(bytes, 0, size, 0);
      const end = bytes.lastIndexOf(lineFeed) + 1;
      const lines = new Map<string, ManifestLine>();
      for (const text of linesOf(bytes.subarray(0, end))) {
        const what = `${path} line ${lines.size + 1}`;
        const { value } = renameFormer(parseJson(text, anyValue, what), formerLineMembers);
        const line = parseValue(value, manifestLine, what);
        lines.set(serialOf(line), line);
      }
      // Only after the rest proved to be a manifest: a wrong path must not lose bytes.
      if (end < size) await file.truncate(end);
      return new Manifest(file, lines);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async append(line: ManifestLine): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`);
    await this.#file.sync();
    this.#lines.set(serialOf(line), line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** The tag with the serial number. */
export const serialTag = 'serial';

function serialOf({ id, tags }: ManifestLine): string {
  return (tags[serialTag] ?? id).toLowerCase();
}

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(lineFeed, from);
    yield bytes.subarray(from, end);
    from = end + 1;
  }
}
