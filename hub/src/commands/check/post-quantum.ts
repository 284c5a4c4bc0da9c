// The groups of the post-quantum rule (spec/access.md, "Post-quantum by group"): a name that no group has asks nothing of anybody, and nobody sees it.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { postQuantumRequest } from '@edgekeep/wire/api/post-quantum';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import { z } from 'zod';
import type { HubSettings } from '../../settings.ts';

const named = z.object({ name: z.string() });
const row = z.object({ document: z.string() });

/** `path` is the store; problems of the store itself are another finding. */
export function checkPostQuantum(path: string, { access }: Pick<HubSettings, 'access'>): readonly Finding[] {
  const found = existsSync(path) ? groupsIn(path) : undefined;
  if (found === undefined) return [];
  const asked = [...new Set([...access.requirePostQuantum, ...found.asked])];
  if (asked.length === 0) return [];
  const gone = asked.filter((name) => !found.known.has(name));
  if (gone.length === 0) return [ok('post-quantum', `required by ${asked.join(', ')}`)];
  return [
    failed(
      'post-quantum',
      `post-quantum protection is required by groups that do not exist: ${gone.join(', ')}: nobody is held to it`,
      'make the group again (edgekeep group create), or take its name out: edgekeep post-quantum set, and access.requirePostQuantum in the settings',
    ),
  ];
}

function groupsIn(
  path: string,
): { readonly known: ReadonlySet<string>; readonly asked: readonly string[] } | undefined {
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const names = store.prepare('select name from device_group').all();
    return { known: new Set(names.map((each) => named.parse(each).name)), asked: askedIn(store) };
  } catch (error) {
    // If the store cannot be read, the finding about the store reports it.
    if (error instanceof Error && 'errcode' in error) return undefined;
    throw error;
  }
}

// A store of before there was the rule has no such table.
function askedIn(store: DatabaseSync): readonly string[] {
  const table = store.prepare("select name from sqlite_master where name = 'post_quantum_rule'").get();
  if (table === undefined) return [];
  const newest = store.prepare('select document from post_quantum_rule order by version desc limit 1').get();
  if (newest === undefined) return [];
  const document: unknown = JSON.parse(row.parse(newest).document);
  return postQuantumRequest.parse(document).groups;
}
