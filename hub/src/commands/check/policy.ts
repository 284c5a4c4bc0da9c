// Checks what the policy in force and the settings of attestation allow: `hub check` reports permissions that an operator may not be aware
// of.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { claimsText, unnamedClaims } from '@edgekeep/core/policy/claims';
import { keysForEveryDevice } from '@edgekeep/core/policy/breadth';
import { loadPolicy, type Policy } from '@edgekeep/core/policy/policy';
import { z } from 'zod';
import { claimGroupsAmong } from '../../registry/claims.ts';
import type { HubSettings } from '../../settings.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';

const policyRow = z.object({ version: z.number(), text: z.string(), meaning: z.enum(['any-action', 'release-only']) });

/** `path` is the store; problems of the store itself are another finding. */
export function checkPolicy(
  path: string,
  { attestation }: Pick<HubSettings, 'attestation'>,
  nowMs: number,
): readonly Finding[] {
  return [...policyFindings(path, nowMs), coverageFinding(attestation.coveredPcrs)];
}

function policyFindings(path: string, nowMs: number): readonly Finding[] {
  const found = existsSync(path) ? newestPolicy(path) : undefined;
  if (found === undefined) return [];
  const { row, groups } = found;
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

const groupRow = z.object({ name: z.string(), filter: z.string().nullable() });

function newestPolicy(
  path: string,
): { readonly row: z.infer<typeof policyRow>; readonly groups: readonly z.infer<typeof groupRow>[] } | undefined {
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const row = store.prepare('select version, text, meaning from policy order by version desc limit 1').get();
    const groups = store.prepare('select name, filter from device_group').all();
    if (row === undefined) return undefined;
    return { row: policyRow.parse(row), groups: groups.map((each) => groupRow.parse(each)) };
  } catch (error) {
    // If the store cannot be read, or is from before there was a policy, the finding about the store reports it.
    if (error instanceof Error && 'errcode' in error) return undefined;
    throw error;
  }
}

function coverageFinding(coveredPcrs: readonly number[]): Finding {
  if (coveredPcrs.length > 0) return ok('boot', `reference values must cover PCR ${coveredPcrs.join(', ')}`);
  return warning(
    'boot',
    'boots are affirmed without a check of which agent runs',
    'publish reference values that cover PCR 14, and set attestation.coveredPcrs to [14]',
  );
}
