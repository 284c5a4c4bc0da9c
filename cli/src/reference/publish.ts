// `edgekeep reference publish|list|withdraw`: the healthy boots, signed by a publisher.
import { parseReferenceValues } from '@edgekeep/core/attest/reference-values';
import { referenceValuesView, referenceValuesWithdrawn } from '@edgekeep/wire/api/reference-values';
import type { Signer } from '@edgekeep/core/signer';
import { z } from 'zod';
import { exitCodes, type Command } from '../command.ts';
import { readSigner } from '../model/key-files.ts';
import { signDocumentFile } from '../model/signed-document.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

type View = z.infer<typeof referenceValuesView>;

/** Signs a reference values file and publishes it. */
export async function publishReferenceValues(operator: Operator, file: string, signer: Signer): Promise<View> {
  const order = await signDocumentFile(file, signer, parseReferenceValues);
  return operator.send('POST', '/v1/reference-values', order, referenceValuesView);
}

export const publish: Command = {
  usage: 'reference publish FILE --key KEY.pem',
  help: `
FILE is a reference values document (spec/reference-values.md), for example from \`edgekeep attest reference\`. Devices whose boot matches
a set in force are affirmed, where the set covers the boot; the answer says what it does not cover. Older releases of its name count until the
grace time ends (attestation.supersededGraceSeconds). A set that can match no boot is refused.

--key       PEM private key of a trusted publisher
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, key: { type: 'string' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const signer = await readSigner(args.required('key'));
    const value = await publishReferenceValues(await openOperator(args), file, signer);
    const lines = [
      `published reference values ${value.name} ${value.version}`,
      ...termsLines(value),
      ...sharedLines(value),
      ...coverageLines(value),
    ];
    return { exitCode: exitCodes.ok, value, text: lines.join('\n') };
  },
};

function termsLines({ supersedes, why, target }: View): readonly string[] {
  return [
    ...(target === null ? [] : [`for ${target}`]),
    ...(supersedes.length === 0
      ? []
      : [`supersedes ${supersedes.join(', ')}: \`edgekeep reference list\` says until when they count`]),
    ...(why === null ? [] : [`it does not count yet: ${why}`]),
  ];
}

function sharedLines({ stagePcrShared }: View): readonly string[] {
  if (stagePcrShared.length === 0) return [];
  return [
    `note: the PCR of the agent's stages also has ${stagePcrShared.join(', ')}: docs/design/stage-pcr.md says how to move them to 15`,
  ];
}

function coverageLines({ notCovered }: View): readonly string[] {
  if (notCovered.length === 0) return [];
  return [`warning: they do not cover ${notCovered.join(', ')}: the status of a device that matches them is warning`];
}

export const list: Command = {
  usage: 'reference list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const schema = z.object({ referenceValues: z.array(referenceValuesView) });
    const { referenceValues } = await (await openOperator(args)).get('/v1/reference-values', schema);
    const rows = referenceValues.map((r) => [
      r.name,
      r.version,
      timeText(r.publishedAt),
      stateText(r),
      r.target ?? 'all',
      String(r.devices),
      r.notCovered.join(', ') || 'nothing',
    ]);
    return {
      exitCode: exitCodes.ok,
      value: referenceValues,
      text: table([['NAME', 'VERSION', 'PUBLISHED', 'STATE', 'FOR', 'DEVICES', 'NOT COVERED'], ...rows]),
    };
  },
};

function stateText({ withdrawnAt, inForce, why, superseded, notAfter }: View): string {
  if (withdrawnAt !== null) return `withdrawn ${timeText(withdrawnAt)}`;
  if (!inForce) return why ?? 'not in force';
  if (superseded !== null) return `until ${timeText(superseded.until)}, superseded by ${superseded.by}`;
  return notAfter === null ? 'in force' : `in force until ${timeText(notAfter)}`;
}

export const withdraw: Command = {
  usage: 'reference withdraw NAME VERSION',
  help: `Devices that match only this set are no longer affirmed. Releases that it had superseded count again: the answer names them.\n\n${operatorHelp}`,
  positionals: { min: 2, max: 2 },
  options: operatorOption,
  async run(args) {
    const [name = '', version = ''] = args.positionals;
    const path = `/v1/reference-values/${encodeURIComponent(name)}/${encodeURIComponent(version)}/withdraw`;
    const value = await (await openOperator(args)).send('POST', path, {}, referenceValuesWithdrawn);
    const again = value.countAgain.length === 0 ? '' : `; these count again: ${value.countAgain.join(', ')}`;
    return { exitCode: exitCodes.ok, value, text: `withdrawn: ${name} ${version}${again}` };
  },
};
