// The facts that the policy in force depends on and that people can change: checked before one person changes them alone.
import { looksAt } from '@edgekeep/core/policy/reads';
import type { Policy } from '@edgekeep/core/policy/policy';
import { actions } from '@edgekeep/core/policy/schema';
import type { Kysely } from 'kysely';
import { fieldsOfGroup } from '../registry/claims.ts';
import type { Tables } from '../store/schema.ts';
import type { PolicyRules } from './root-operations.ts';

export interface PolicyInForce {
  current(): { readonly policy: Pick<Policy, 'reads' | 'groups'> };
}

// One statement can name at most this many groups.
const GROUPS_MAX = 500;

/** `required`: groups that a rule besides the policy names: those that need post-quantum protection. */
export async function policyRulesOf(
  db: Kysely<Tables>,
  policies: PolicyInForce,
  { required, nowMs }: { readonly required: readonly string[]; readonly nowMs: number },
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
    filterFields: new Set(filtered.flatMap((group) => fieldsOfGroup(group, nowMs))),
    looksAt: looks,
  };
}
