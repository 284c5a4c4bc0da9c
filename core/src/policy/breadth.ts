// Whether a policy releases keys for any device and any model: an operator must know it, because then one enrolled device has every model.
import type { Policy } from './policy.ts';
import { questionSchema } from './question.ts';

/**
 * The statements that release the key of any model to any attested device with a TPM, in any group and with any tag; empty when there are
 * none.
 */
export function keysForEveryDevice(policy: Policy): readonly string[] {
  // In no group and with no tag, for an unknown model: a statement that permits this permits all of them.
  const question = questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: 'a-device-in-no-group' },
    resource: { kind: 'model', name: 'a-model-for-no-group', version: '0' },
  });
  const decision = policy.decideAnew(question);
  return decision.kind === 'permitted' ? decision.statements : [];
}
