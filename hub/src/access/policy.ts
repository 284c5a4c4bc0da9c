// The release policy: Cedar text, strictly validated against the schema below, decides which attested device gets which model key.
// A policy only ever narrows: what `release.ts` refuses by itself (a quarantined device, a failed appraisal) no policy can allow.
import { createHash } from 'node:crypto';
import {
  checkParsePolicySet,
  type CedarValueJson,
  type EntityJson,
  policySetTextToParts,
  type PolicyJson,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { tiers } from '@edgekeep/core/attest/tier';
import { HubError, type Reason } from '../error.ts';

const schema = `
namespace Edgekeep {
  entity Device = { tier: String, state: String };
  entity Model = { name: String, version: String, publisher: String };
  type Attestation = {
    status: String,
    tier: String,
    instanceIdentity: Long,
    configuration: Long,
    executables: Long,
    hardware: Long,
  };
  action releaseKey appliesTo { principal: Device, resource: Model, context: { attestation: Attestation } };
}`;

/** The policy a new hub starts with: only a TPM whose boot matched signed reference values. */
export const defaultPolicyText = `// Who gets a model key: a device with a TPM whose boot matched signed reference values.
@id("attested-tpm")
permit (
  principal is Edgekeep::Device,
  action == Edgekeep::Action::"releaseKey",
  resource is Edgekeep::Model
) when {
  context.attestation.tier == "tpm" &&
  context.attestation.status == "affirming"
};
`;

// Cedar parses and validates in time that grows with the text; a policy larger than this is a mistake.
const policyBytesMost = 256 * 1024;

export interface ReleaseQuestion {
  readonly device: { readonly id: string; readonly tier: string; readonly state: string };
  readonly model: { readonly name: string; readonly version: string; readonly publisher: string };
  readonly attestation: {
    readonly status: string;
    readonly tier: string;
    readonly instanceIdentity: number;
    readonly configuration: number;
    readonly executables: number;
    readonly hardware: number;
  };
}

export type ReleaseDecision =
  | { readonly kind: 'permitted'; readonly policies: readonly string[] }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] };

/** A policy that was parsed, validated and found to constrain something. `digest` is the SHA-256 of its text, hex. */
export interface Policy {
  readonly text: string;
  readonly digest: string;
  /** What it is made of, as Cedar reads it. */
  readonly statements: readonly PolicyJson[];
  decide(question: ReleaseQuestion): ReleaseDecision;
}

/** Loads policy text or throws `policy-refused` with every reason. */
export function loadPolicy(text: string): Policy {
  const reasons = findFaults(text);
  if (reasons.length > 0) throw new HubError('policy-refused', reasons.map((r) => r.message).join('; '), { reasons });
  const digest = createHash('sha256').update(text).digest('hex');
  const named = namedPolicies(text);
  const parsed = preparsePolicySet(digest, { staticPolicies: named });
  const parsedSchema = preparseSchema('edgekeep', schema);
  if (parsed.type === 'failure' || parsedSchema.type === 'failure') {
    throw new HubError('policy-refused', 'Cedar could not prepare a policy that it had validated');
  }
  return {
    text,
    digest,
    statements: Object.values(named).map(readStatement),
    decide: (question) => decide(digest, question),
  };
}

function readStatement(text: string): PolicyJson {
  const answer = policyToJson(text);
  if (answer.type === 'success') return answer.json;
  throw new HubError('policy-refused', 'Cedar could not read back a policy that it had validated');
}

function findFaults(text: string): readonly Reason[] {
  if (!text.isWellFormed())
    return [{ code: 'policy-syntax', message: 'the policy is not Unicode text: it has a lone surrogate' }];
  if (Buffer.byteLength(text) > policyBytesMost) {
    return [{ code: 'policy-too-long', message: `the policy is longer than ${policyBytesMost} bytes` }];
  }
  const parsed = checkParsePolicySet({ staticPolicies: text });
  if (parsed.type === 'failure') return parsed.errors.map((e) => ({ code: 'policy-syntax', message: e.message }));
  const validation = validate({
    validationSettings: { mode: 'strict' },
    schema,
    policies: { staticPolicies: text },
  });
  if (validation.type === 'failure')
    return validation.errors.map((e) => ({ code: 'policy-invalid', message: e.message }));
  const invalid = [...validation.validationErrors, ...validation.validationWarnings].map(({ policyId, error }) => ({
    code: 'policy-invalid',
    message: `${policyId}: ${error.message}`,
  }));
  return invalid.length > 0 ? invalid : findUnconstrained(text);
}

// A permit whose conditions never look at the attestation would hand keys to any registered device; one that looks and still
// allows a device that failed every check does the same in more words. Both are refused.
function findUnconstrained(text: string): readonly Reason[] {
  const reasons: Reason[] = [];
  let permits = 0;
  for (const [id, policy] of Object.entries(namedPolicies(text))) {
    const answer = policyToJson(policy);
    if (answer.type === 'failure') return [{ code: 'policy-syntax', message: `${id} can't be read back` }];
    if (answer.json.effect !== 'permit') continue;
    permits += 1;
    if (!mentionsAttestation(answer.json.conditions) || permitsTheWorst(policy, answer.json)) {
      reasons.push({
        code: 'policy-constrains-nothing',
        message: `${id} permits a device whose attestation failed: add a condition, for example context.attestation.status == "affirming"`,
      });
    }
  }
  if (permits === 0) {
    reasons.push({
      code: 'policy-permits-nothing',
      message: 'the policy has no permit: no device would ever get a key',
    });
  }
  return reasons;
}

function mentionsAttestation(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  if ('.' in value) {
    const access = value['.'];
    if (access !== null && typeof access === 'object' && 'attr' in access && access.attr === 'attestation') return true;
  }
  return Object.values(value).some(mentionsAttestation);
}

// Asks the one permit about devices that failed everything, with the entities and the literals that it names itself.
function permitsTheWorst(policy: string, json: PolicyJson): boolean {
  const set = 'probe';
  if (preparsePolicySet(set, { staticPolicies: policy }).type === 'failure') return true;
  if (preparseSchema('edgekeep', schema).type === 'failure') return true;
  const device = json.principal.op === '==' ? scopeId(json.principal) : 'any';
  const model = json.resource.op === '==' ? scopeId(json.resource) : 'any@0';
  const [modelName = 'any', modelVersion = '0'] = model.split('@');
  const literals = [...new Set(literalsOf(json.conditions))].slice(0, probeLiteralsMost);
  for (const probed of worstQuestions(device, { name: modelName, version: modelVersion, publisher: 'any' }, literals)) {
    if (decide(set, probed).kind === 'permitted') return true;
  }
  return false;
}

// Devices that failed every check, of every tier, asking for models under every combination of the names that the policy itself uses.
function* worstQuestions(
  device: string,
  model: ReleaseQuestion['model'],
  literals: readonly string[],
): Generator<ReleaseQuestion> {
  for (const name of [model.name, ...literals]) {
    for (const version of [model.version, ...literals]) {
      for (const publisher of [model.publisher, ...literals]) {
        for (const tier of tiers) {
          for (const state of ['active', 'quarantined']) {
            for (const claim of [0, 97]) {
              const claims = { instanceIdentity: claim, configuration: claim, executables: claim, hardware: claim };
              yield {
                device: { id: device, tier, state },
                model: { name, version, publisher },
                attestation: { status: 'contraindicated', tier, ...claims },
              };
            }
          }
        }
      }
    }
  }
}

// Their combinations are tried at load: five literals make some 3,500 questions, a third of a second.
const probeLiteralsMost = 5;

function scopeId(constraint: object): string {
  if (!('entity' in constraint)) return 'any';
  const { entity } = constraint;
  return entity !== null && typeof entity === 'object' && 'id' in entity && typeof entity.id === 'string'
    ? entity.id
    : 'any';
}

function literalsOf(value: unknown): readonly string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('Value' in value && typeof value.Value === 'string') return [value.Value];
  return Object.values(value).flatMap(literalsOf);
}

// Cedar numbers policies by position; the @id annotation is the name people know.
function namedPolicies(text: string): Record<string, string> {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') return {};
  const named: Record<string, string> = {};
  for (const [position, part] of parts.policies.entries()) {
    const json = policyToJson(part);
    const id = json.type === 'success' ? json.json.annotations?.['id'] : undefined;
    const name = id ?? `policy${position}`;
    named[name in named ? `${name}#${position}` : name] = part;
  }
  return named;
}

function decide(policySetId: string, question: ReleaseQuestion): ReleaseDecision {
  const { device, model, attestation } = question;
  const principal = { type: 'Edgekeep::Device', id: device.id };
  const resource = { type: 'Edgekeep::Model', id: `${model.name}@${model.version}` };
  const attributes = (values: Record<string, CedarValueJson>): Record<string, CedarValueJson> => values;
  const entities: EntityJson[] = [
    { uid: principal, attrs: attributes({ tier: device.tier, state: device.state }), parents: [] },
    { uid: resource, attrs: attributes({ ...model }), parents: [] },
  ];
  const answer = statefulIsAuthorized({
    principal,
    action: { type: 'Edgekeep::Action', id: 'releaseKey' },
    resource,
    context: { attestation: { ...attestation } },
    preparsedPolicySetId: policySetId,
    preparsedSchemaName: 'edgekeep',
    validateRequest: true,
    entities,
  });
  if (answer.type === 'failure') {
    return refuse(
      'policy-error',
      `the policy could not be evaluated: ${answer.errors.map((e) => e.message).join('; ')}`,
    );
  }
  const { decision, diagnostics } = answer.response;
  // Cedar skips a policy that errs; a forbid that was skipped must not turn into an allow.
  if (diagnostics.errors.length > 0) {
    return refuse('policy-error', diagnostics.errors.map((e) => `${e.policyId}: ${e.error.message}`).join('; '));
  }
  if (decision === 'allow') return { kind: 'permitted', policies: diagnostics.reason };
  const facts = `tier ${attestation.tier}, attestation ${attestation.status}, state ${device.state}`;
  return diagnostics.reason.length > 0
    ? refuse('policy-forbids', `policy ${diagnostics.reason.join(', ')} forbids it for ${facts}`)
    : refuse('policy-permits-not', `no policy permits ${model.name} ${model.version} to a device with ${facts}`);
}

function refuse(code: string, message: string): ReleaseDecision {
  return { kind: 'refused', reasons: [{ code, message }] };
}
