// The default for an action until a policy permits that action itself: what a hub did before there were policies about it. A policy's
// `forbid` still applies. There is no default for keys: without a permit of the policy nobody gets one.
import { type Action, actions } from './schema.ts';
import { readStatements, type Statement } from './statement.ts';

/** The first policy of a new hub: a device in a group that the model is for, with a TPM whose boot matched signed reference values. */
export const defaultPolicyText = `// Who gets a model key: a device in one of the groups that the model is for (edgekeep model assign MODEL GROUP),
// with a TPM whose boot matched signed reference values.
@id("attested-tpm")
permit (
  principal is Edgekeep::Device,
  action == Edgekeep::Action::"releaseKey",
  resource is Edgekeep::Model
) when {
  principal in resource.groups &&
  context.attestation.tier == "tpm" &&
  context.attestation.status == "affirming"
};
`;

/** The first policy of hubs before models were for groups: every attested device with a TPM has every model's key. */
export const everyAttestedTpmPolicyText = `// Who gets a model key: a device with a TPM whose boot matched signed reference values.
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

const builtInText = actions
  .filter((action) => action !== 'releaseKey')
  .map(
    (action) => `@id("built-in-${action}")\npermit (principal, action == Edgekeep::Action::"${action}", resource);\n`,
  )
  .join('');

/** The built-in permits of those actions that no permit of `statements` names. */
export function builtInFor(statements: readonly Statement[]): readonly Statement[] {
  const named = new Set<Action>(
    statements
      .filter(({ effect, namesActions }) => effect === 'permit' && namesActions)
      .flatMap((statement) => statement.actions),
  );
  const read = readStatements(builtInText);
  if (read.kind === 'failed')
    throw new TypeError(`the built-in statements cannot be read: ${read.messages.join('; ')}`);
  return read.statements.filter(({ actions: own }) => own.every((action) => !named.has(action)));
}
