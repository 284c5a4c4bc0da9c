// Checks what the policy in force and the settings of attestation allow: `hub check` reports permissions that an operator may not be aware
// of.
import type { Kysely } from 'kysely';
import { claimsText, unnamedClaims } from '@edgekeep/core/policy/claims';
import { keysForEveryDevice } from '@edgekeep/core/policy/breadth';
import { loadPolicy, type Policy } from '@edgekeep/core/policy/policy';
import { claimGroupsAmong } from '../../registry/claims.ts';
import type { HubSettings } from '../../settings.ts';
import type { Tables } from '../../store/schema.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';

export async function checkPolicy(db: Kysely<Tables>, nowMs: number): Promise<readonly Finding[]> {
  const row = await db
    .selectFrom('policy')
    .select(['version', 'text', 'meaning'])
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return [];
  const groups = await db.selectFrom('device_group').select(['name', 'filter']).execute();
  const claimGroups = claimGroupsAmong(groups, nowMs);
  const { version, text, meaning } = row;
  const loaded = loadPolicy(text, { name: `policy ${version}`, meaning, claimGroups, stored: true });
  if (loaded.kind === 'refused')
    return [failed('policy', loaded.faults.map(({ message }) => message).join('; '), 'edgekeep hub reset-policy')];
  using policy = loaded.policy;
  return [breadthFinding(version, policy), ...claimFindings(version, policy)];
}

function claimFindings(version: number, policy: Policy): readonly Finding[] {
  const uses = unnamedClaims(policy);
  if (uses.length === 0) return [];
  return [
    failed(
      'claims',
      `policy ${version} rests on what devices say of themselves, by ${claimsText(uses)}: such a permit gives no keys and no connections`,
      'use what the hub decides (named members, tags, attestation), or name the claims by @claims("…"), and apply the policy again (docs/design/claims.md)',
    ),
  ];
}

function breadthFinding(version: number, policy: Policy): Finding {
  const statements = keysForEveryDevice(policy);
  if (statements.length === 0) return ok('policy', `policy ${version} asks for more than an attested TPM`);
  return warning(
    'policy',
    `policy ${version} gives the key of every model to every attested device with a TPM (${statements.join(', ')})`,
    'name groups in it: principal in resource.groups, and edgekeep model assign MODEL GROUP',
  );
}

export function checkCoverage({ attestation: { coveredPcrs } }: Pick<HubSettings, 'attestation'>): Finding {
  if (coveredPcrs.length > 0) return ok('boot', `reference values must cover PCR ${coveredPcrs.join(', ')}`);
  return warning(
    'boot',
    'boots are affirmed without a check of which agent runs',
    'publish reference values that cover PCR 14, and set attestation.coveredPcrs to [14]',
  );
}
