// The attributes that operators want for this device (spec/registry.md, "Attributes"): kept for the applications on it, also while the hub
// is away. The agent itself acts on none of them.
import { CoreError } from '@edgekeep/core/error';
import { brokenRulesText } from '@edgekeep/core/rule-words';
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { replaceFile } from '@edgekeep/host/durable-file';
import { keptAttributesSchema } from '@edgekeep/wire/api/attributes';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { readIfThere } from '../state-folder.ts';

const schema = z.strictObject({ version: z.int().min(0), attributes: keptAttributesSchema });

export type DesiredAttributes = Readonly<z.infer<typeof schema>>;

export class DesiredStore {
  readonly #path: string;
  #present: DesiredAttributes;

  private constructor(path: string, present: DesiredAttributes) {
    this.#path = path;
    this.#present = present;
  }

  /** A damaged file counts as empty: the hub sends the attributes again. A file that the disk cannot read is an error. */
  static async open(path: string): Promise<DesiredStore> {
    const none = { version: 0, attributes: {} };
    const bytes = await readIfThere(path);
    if (bytes === undefined) return new DesiredStore(path, none);
    try {
      return new DesiredStore(path, parseJson(bytes, schema, path));
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return new DesiredStore(path, none);
    }
  }

  get present(): DesiredAttributes {
    return this.#present;
  }

  /** Takes the hub's answer; throws `hub-answer-invalid` for anything that is not a document of attributes. */
  async take(answer: unknown): Promise<void> {
    const parsed = schema.safeParse(answer);
    if (!parsed.success)
      throw new AgentError('hub-answer-invalid', `the desired attributes: ${brokenRulesText(parsed.error.issues)}`);
    await replaceFile(this.#path, utf8(JSON.stringify(parsed.data)));
    this.#present = parsed.data;
  }
}
