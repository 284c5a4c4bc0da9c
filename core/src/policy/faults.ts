// What is wrong with a policy before it decides anything: its form, its types, and permits of keys that constrain nothing.
import { type PolicyJson, validate } from '@cedar-policy/cedar-wasm/nodejs';
import { tiers } from '../attest/tier.ts';
import { conditionsOf } from './condition.ts';
import { askOnce } from './engine.ts';
import { type Question, questionSchema } from './question.ts';
import { readsOfExpression } from './reads.ts';
import { policySchema } from './schema.ts';
import { entitiesIn, type Statement } from './statement.ts';

export interface Fault {
  readonly code:
    | 'policy-syntax'
    | 'policy-too-long'
    | 'policy-too-complex'
    | 'policy-invalid'
    | 'policy-permits-nothing'
    | 'policy-constrains-nothing'
    | 'policy-rests-on-claims';
  readonly message: string;
}

/** Strict validation of every statement; warnings count, because a condition that can never be true is a mistake. */
export function typeFaults(statements: readonly Statement[]): readonly Fault[] {
  const policies = Object.fromEntries(statements.map(({ id, json }): [string, PolicyJson] => [id, json]));
  const validation = validate({
    validationSettings: { mode: 'strict' },
    schema: policySchema,
    policies: { staticPolicies: policies },
  });
  if (validation.type === 'failure')
    return validation.errors.map(({ message }) => ({ code: 'policy-invalid', message }));
  return [...validation.validationErrors, ...validation.validationWarnings].map(({ policyId, error }) => ({
    code: 'policy-invalid',
    message: error.message.includes(policyId) ? error.message : `${policyId}: ${error.message}`,
  }));
}

// A permit whose conditions never read the attestation would release keys to any registered device; one that reads it and still allows a
// device that failed every check does the same in more words. Both are refused.
export function keyFaults(statements: readonly Statement[]): readonly Fault[] {
  const permits = statements.filter(({ effect, actions }) => effect === 'permit' && actions.includes('releaseKey'));
  if (permits.length === 0) {
    return [
      {
        code: 'policy-permits-nothing',
        message: 'the policy has no permit of releaseKey: no device would ever get a key',
      },
    ];
  }
  return permits
    .filter(({ json }) => permitsTheWorst(json))
    .map(({ id }) => ({
      code: 'policy-constrains-nothing',
      message: `${id} permits a device whose attestation failed: add a condition, for example context.attestation.status == "affirming"`,
    }));
}

// Asks the one permit about devices that failed everything. Conditions that do not read the attestation count as met: some device meets
// them. Those that also read other facts are asked with the names that they compare with.
function permitsTheWorst(json: PolicyJson): boolean {
  const conditions = conditionsOf(json).filter(({ body }) => looksAtAttestation(body));
  if (conditions.length === 0) return true;
  const mixed = conditions.filter(({ body }) => !looksAtNothingElse(body));
  const literals = [...new Set(literalsOf(mixed))].slice(0, PROBE_LITERALS_MAX);
  const open: PolicyJson = { ...json, principal: { op: 'All' }, resource: { op: 'All' }, conditions };
  const model = json.resource.op === '==' ? (entitiesIn(json.resource)[0] ?? 'any@0') : 'any@0';
  const [name = 'any', version = '0'] = model.split('@');
  const device = json.principal.op === '==' ? (entitiesIn(json.principal)[0] ?? 'any') : 'any';
  for (const question of worstQuestions({ device, name, version }, literals)) {
    if (askOnce(open, question).kind === 'permit') return true;
  }
  return false;
}

const attestation = 'context.attestation';

function looksAtAttestation(body: unknown): boolean {
  return [...readsOfExpression(body)].some((path) => path === 'context' || path.startsWith(attestation));
}

function looksAtNothingElse(body: unknown): boolean {
  return [...readsOfExpression(body)].every((path) => path.startsWith(attestation));
}

interface Probe {
  readonly device: string;
  readonly name: string;
  readonly version: string;
}

// Devices that failed every check, of every tier, asking for models under every combination of the names that the policy itself uses.
function* worstQuestions(probe: Probe, literals: readonly string[]): Generator<Question> {
  for (const name of [probe.name, ...literals]) {
    for (const version of [probe.version, ...literals]) {
      for (const publisher of ['any', ...literals]) {
        for (const tier of tiers) {
          for (const state of ['active', 'quarantined']) {
            for (const claim of [0, 97]) yield worst(probe, { name, version, publisher }, { tier, state, claim });
          }
        }
      }
    }
  }
}

function worst(
  { device }: Probe,
  model: { readonly name: string; readonly version: string; readonly publisher: string },
  { tier, state, claim }: { readonly tier: string; readonly state: string; readonly claim: number },
): Question {
  const claims = { instanceIdentity: claim, configuration: claim, executables: claim, hardware: claim };
  return questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: device, tier, state },
    resource: { kind: 'model', ...model },
    context: { attestation: { status: 'contraindicated', tier, ...claims } },
  });
}

// Their combinations are tried at load: three make some 1,000 questions, a tenth of a second.
const PROBE_LITERALS_MAX = 3;

function literalsOf(value: unknown): readonly string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('Value' in value && typeof value.Value === 'string') return [value.Value];
  return Object.values(value).flatMap(literalsOf);
}
