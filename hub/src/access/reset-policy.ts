// Recovery from a policy that shuts everybody out (spec/access.md, "The way back"): a person with access to the hub's data folder may put
// the default policy in force, and the log records that it was done there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { HubError } from '../common/error.ts';
import { Database } from '../store/database.ts';
import { PolicyStore } from './policy-store.ts';

/** Applies the default policy to the store of a stopped hub. Returns its version. */
export async function resetPolicy(folder: string, nowMs: number): Promise<number> {
  const file = join(folder, 'hub.sqlite');
  if (!existsSync(file)) throw new HubError('request-invalid', `${folder} holds no hub`);
  await using database = await Database.open(file);
  return PolicyStore.replace(database, { text: defaultPolicyText, actor: 'hub-machine', nowMs });
}
