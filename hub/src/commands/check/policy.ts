// Checks what the policy in force and the settings of attestation allow: `hub check` reports permissions that an operator may not be aware
// of.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { keysForEveryDevice } from '@edgekeep/core/policy/breadth';
import { loadPolicy } from '@edgekeep/core/policy/policy';
import { z } from 'zod';
import type { HubSettings } from '../../settings.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';

const policyRow = z.object({ version: z.number(), text: z.string(), meaning: z.enum(['any-action', 'release-only']) });

/** `path` is the store; problems of the store itself are another finding. */
export function checkPolicy(path: string, { attestation }: Pick<HubSettings, 'attestation'>): readonly Finding[] {
  return [...policyFindings(path), coverageFinding(attestation.coveredPcrs)];
}

function policyFindings(path: string): readonly Finding[] {
  const row = existsSync(path) ? newestPolicy(path) : undefined;
  if (row === undefined) return [];
  const loaded = loadPolicy(row.text, { name: `policy ${row.version}`, meaning: row.meaning });
  if (loaded.kind === 'refused')
    return [failed('policy', loaded.faults.map(({ message }) => message).join('; '), 'edgekeep hub reset-policy')];
  using policy = loaded.policy;
  const statements = keysForEveryDevice(policy);
  if (statements.length === 0) return [ok('policy', `policy ${row.version} asks for more than an attested TPM`)];
  return [
    warning(
      'policy',
      `policy ${row.version} gives the key of every model to every attested device with a TPM (${statements.join(', ')})`,
      'name groups in it: principal in resource.groups, and edgekeep model assign MODEL GROUP',
    ),
  ];
}

function newestPolicy(path: string): z.infer<typeof policyRow> | undefined {
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const row = store.prepare('select version, text, meaning from policy order by version desc limit 1').get();
    return row === undefined ? undefined : policyRow.parse(row);
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
