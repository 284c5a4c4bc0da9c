// Decisions that were made already. Cedar is a pure function of policy and question, and a fleet asks the same few questions over and over:
// machines of one tier and one health ask for one model. Asking Cedar anew costs 0.2 ms, more than verifying the quote.
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Policy, ReleaseDecision } from './policy.ts';

// An entry is below 1 KiB. A policy that names devices has one for each of them; whoever is not in here is decided anew.
const decisionsMost = 20_000;

/** The policy's `decide`, remembering. The memory is of this one policy: the next one begins with none. */
export function rememberDecisions({ statements, decide }: Pick<Policy, 'statements' | 'decide'>): Policy['decide'] {
  const byDevice = statements.some(looksAtDeviceId);
  const decisions = new Map<string, ReleaseDecision>();
  return (question) => {
    const { device, model, attestation } = question;
    const key = JSON.stringify([
      byDevice ? device.id : '',
      device.tier,
      device.state,
      model.name,
      model.version,
      model.publisher,
      attestation.status,
      attestation.tier,
      attestation.instanceIdentity,
      attestation.configuration,
      attestation.executables,
      attestation.hardware,
    ]);
    const known = decisions.get(key);
    if (known !== undefined) return known;
    const decision = decide(question);
    if (decisions.size >= decisionsMost) decisions.clear();
    decisions.set(key, decision);
    return decision;
  };
}

/**
 * Whether the answer may depend on which device asks. It does not when the scope takes every device and the conditions read nothing of
 * the principal but its attributes, and name no entity, whose attributes exist only if it is the one that asks. In doubt it does.
 */
export function looksAtDeviceId({ principal, conditions }: PolicyJson): boolean {
  const anyDevice = principal.op === 'All' || (principal.op === 'is' && !('in' in principal));
  return !anyDevice || namesEntity(conditions);
}

function namesEntity(expression: unknown): boolean {
  if (expression === null || typeof expression !== 'object') return false;
  if ('__entity' in expression || isPrincipal(expression)) return true;
  const operand = '.' in expression ? expression['.'] : undefined;
  if (operand !== null && typeof operand === 'object' && 'left' in operand && isPrincipal(operand.left)) return false;
  return Object.values(expression).some(namesEntity);
}

function isPrincipal(expression: unknown): boolean {
  return expression !== null && typeof expression === 'object' && 'Var' in expression && expression.Var === 'principal';
}
