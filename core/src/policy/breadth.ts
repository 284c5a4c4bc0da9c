// Whether a policy gives keys without regard to which device and which model it is: what an operator wants to be told, because one device that
// is enrolled then has every model there is.
import type { Policy } from './policy.ts';
import { questionSchema } from './question.ts';

/** The statements that give the key of any model to any attested device with a TPM, whatever groups and tags it has; empty where none does. */
export function keysForEveryDevice(policy: Policy): readonly string[] {
  // In no group and with no tag, for a model that nobody has heard of: who permits that permits all of them.
  const question = questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: 'a-device-in-no-group' },
    resource: { kind: 'model', name: 'a-model-for-no-group', version: '0' },
  });
  const decision = policy.decideAnew(question);
  return decision.kind === 'permitted' ? decision.statements : [];
}
