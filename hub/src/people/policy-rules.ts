// The facts that the policy in force depends on and that people can change: checked before one person changes them alone.
import type { RegistryField } from '@edgekeep/core/policy/origins';
import { looksAt } from '@edgekeep/core/policy/reads';
import type { Policy } from '@edgekeep/core/policy/policy';
import { actions } from '@edgekeep/core/policy/schema';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { PolicyRules } from './root-operations.ts';

export interface PolicyInForce {
  current(): { readonly policy: Pick<Policy, 'reads' | 'groups'> };
}

// One statement can name at most this many groups.
const GROUPS_MAX = 500;

interface RulesBesides {
  /** Groups that a rule besides the policy names: those that need post-quantum protection. */
  readonly required: readonly string[];
  /** What the filter of a group asks. */
  readonly fieldsOf: (group: { readonly filter: string | null }) => readonly RegistryField[];
}

export async function policyRulesOf(
  db: Kysely<Tables>,
  policies: PolicyInForce,
  { required, fieldsOf }: RulesBesides,
): Promise<PolicyRules> {
  const { policy } = policies.current();
  const reads = actions.map((action) => policy.reads(action));
  const looks = (path: string) => reads.some((each) => looksAt(each, path));
  const ofModels = looks('resource.groups')
    ? await db.selectFrom('model_group').select('group_name').distinct().execute()
    : [];
  const groups = [...new Set([...required, ...policy.groups, ...ofModels.map((row) => row.group_name)])];
  const filtered =
    groups.length === 0
      ? []
      : await db
          .selectFrom('device_group')
          .select('filter')
          .where('name', 'in', groups.slice(0, GROUPS_MAX))
          .where('filter', 'is not', null)
          .execute();
  return {
    groups: new Set(groups),
    filters: filtered.length > 0,
    filterFields: new Set(filtered.flatMap((group) => fieldsOf(group))),
    looksAt: looks,
  };
}
