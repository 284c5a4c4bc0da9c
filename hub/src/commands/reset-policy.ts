// Recovery from a policy that shuts everybody out (spec/access.md, "The way back"): a person with access to the hub's data folder may put
// the default policy in force, and the log records that it was done there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { HubError } from '../common/error.ts';
import { findingsText, findState, openRecorded } from '../audit/security-state.ts';
import { hasStateEntries } from '../audit/state-check.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { openSecrets } from '../secrets/open.ts';
import { plainKeys } from '../secrets/plain-keys.ts';
import { readHubSettings } from '../settings.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import { PolicyStore } from '../access/policy-store.ts';

/**
 * Applies the default policy to the store of a stopped hub. Returns its version. It needs the hub's keys: the log vouches for the policy in force.
 * Throws `state-refused` where the store is not what its log says.
 */
export async function resetPolicy(
  folder: string,
  nowMs: number,
  keyStore: KeyStore = plainKeys(join(folder, 'keys')),
): Promise<number> {
  const place = placeOfStore(folder, await readHubSettings(folder));
  if (typeof place === 'string' && !existsSync(place)) throw new HubError('request-invalid', `${folder} holds no hub`);
  await using opened = new AsyncDisposableStack();
  const { keys, [Symbol.asyncDispose]: close } = await openSecrets(folder, keyStore, () => hasStateEntries(place));
  opened.defer(async () => close?.());
  const found = await findState(place, keys.stateKey);
  if (found.verdict.kind === 'compared' && found.verdict.findings.length > 0)
    throw new HubError('state-refused', findingsText(found.verdict.findings));
  await using database = await openRecorded(found, () => nowMs);
  return await PolicyStore.replace(database, { text: defaultPolicyText, actor: 'hub-machine', nowMs });
}
