// Files that people write and give to a verb: settings, policies, operator files. A byte-order mark is no part of them, and UTF-16 is named.
import { readFile } from 'node:fs/promises';
import { parseJson } from '@edgekeep/core/json';
import { personBytes, personText } from '@edgekeep/core/person-text';
import type { ZodType } from 'zod';

/** The text of the file. */
export async function readText(path: string): Promise<string> {
  return personText(await readFile(path), path);
}

/** Its JSON; `what` names it in errors. */
export async function readJson<T>(path: string, schema: ZodType<T>, what = path): Promise<T> {
  return parseJson(personBytes(await readFile(path), what), schema, what);
}
