// A policy as files: one or more *.cedar and, beside them, *.test.json (spec/access.md, "Files"). A folder means all files of both kinds in
// it.
import { personBytes } from '@edgekeep/core/person-text';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { loadDraft as loadDraftPolicy } from '@edgekeep/core/policy/draft';
import type { Policy } from '@edgekeep/core/policy/policy';
import { parsePolicyTests, type PolicyTests, POLICY_TESTS_BYTES_MAX } from '@edgekeep/core/policy/test-file';
import { UsageError } from '../command.ts';
import { readText } from '../person-file.ts';

export interface PolicyFiles {
  /** The text that is sent to the hub and hashed: a single file unchanged, several one after the other under their names. */
  readonly text: string;
  /** Of all test files together; undefined when there is none. */
  readonly tests: PolicyTests | undefined;
}

export async function readPolicyFiles(paths: readonly string[]): Promise<PolicyFiles> {
  const files = (await Promise.all(paths.map(filesAt))).flat().toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const texts = files.filter((path) => path.endsWith('.cedar'));
  if (texts.length === 0)
    throw new UsageError(`there is no *.cedar file in ${paths.join(', ')}: give a policy file, or the folder with it`);
  const [only] = texts;
  const text =
    texts.length === 1 && only !== undefined
      ? await readText(only)
      : (await Promise.all(texts.map(async (path) => `// ${basename(path)}\n${await readText(path)}\n`))).join('');
  const tests = await Promise.all(files.filter((path) => path.endsWith('.test.json')).map(readTests));
  return {
    text,
    tests:
      tests.length === 0 ? undefined : { type: 'edgekeep-policy-tests/v1', tests: tests.flatMap((file) => file.tests) },
  };
}

/** The draft, or its faults, one per line. */
export function loadDraft(text: string): Policy | readonly string[] {
  const loaded = loadDraftPolicy(text, { name: 'the draft' });
  return loaded.kind === 'loaded' ? loaded.policy : loaded.faults.map(({ code, message }) => `${code}: ${message}`);
}

async function filesAt(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names.filter((name) => name.endsWith('.cedar') || name.endsWith('.test.json')).map((name) => join(path, name));
}

async function readTests(path: string): Promise<PolicyTests> {
  const bytes = await readFile(path);
  if (bytes.length > POLICY_TESTS_BYTES_MAX)
    throw new UsageError(`${path} is longer than ${POLICY_TESTS_BYTES_MAX} bytes`);
  return parsePolicyTests(personBytes(bytes, path));
}
