// What the policy of a hub allows, as far as `edgekeep doctor` is shown the way to one.
import { policyView } from '@edgekeep/wire/operator-api';
import type { Operator } from '../operator.ts';
import { type Finding, ok, warning } from './finding.ts';

export async function examinePolicy(operator: Operator | undefined): Promise<readonly Finding[]> {
  if (operator === undefined) return [];
  const { version, keysForEveryDevice } = await operator.get('/v1/policy', policyView);
  if (keysForEveryDevice.length === 0) return [ok('policy', `policy ${version} asks for more than an attested TPM`)];
  return [
    warning(
      'policy',
      `policy ${version} gives the key of every model to every attested device with a TPM (${keysForEveryDevice.join(', ')})`,
      'name groups in it: principal in resource.groups, and edgekeep model assign MODEL GROUP',
    ),
  ];
}
