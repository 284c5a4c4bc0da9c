// `edgekeep ima-policy publish|list|withdraw`: what may run on devices, signed by a publisher.
import { readFile } from 'node:fs/promises';
import { parseImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { toBase64url } from '@edgekeep/core/bytes';
import { imaPolicyList, imaPolicyView, type ImaPolicyView, imaPolicyWithdrawn } from '@edgekeep/wire/api/ima-policy';
import type { Signer } from '@edgekeep/core/signer';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { exitCodes, type Command } from '../command.ts';
import { readSigner } from '../model/key-files.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

/** Signs the file of an IMA policy and publishes it. */
async function publishImaPolicy(operator: Operator, file: string, signer: Signer): Promise<ImaPolicyView> {
  const document = await readFile(file);
  parseImaPolicy(document);
  const signature = Buffer.from(await signModelFiles(file, { signer, ignorePaths: [] })).toString('utf8');
  const order = { document: toBase64url(document), signature };
  return operator.send('POST', '/v1/ima-policies', order, imaPolicyView);
}

export const publish: Command = {
  usage: 'ima-policy publish FILE --key KEY.pem',
  help: `
FILE is an IMA policy (spec/ima-policy.md), from \`edgekeep ima-policy make\` or \`import\`. From then on devices whose kernel measured a file
that no policy in force accepts are contraindicated (or a warning, with attestation.imaMismatch). Their logs are read again from the
beginning, once. The hub must quote PCR 10 (the setting pcrs).

--key       PEM private key of a trusted publisher
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, key: { type: 'string' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const signer = await readSigner(args.required('key'));
    const value = await publishImaPolicy(await openOperator(args), file, signer);
    return { exitCode: exitCodes.ok, value, text: `published IMA policy ${value.name} ${value.version}` };
  },
};

export const list: Command = {
  usage: 'ima-policy list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { imaPolicies } = await (await openOperator(args)).get('/v1/ima-policies', imaPolicyList);
    const rows = imaPolicies.map((each) => [
      each.name,
      each.version,
      timeText(each.publishedAt),
      each.withdrawnAt === null ? 'in force' : `withdrawn ${timeText(each.withdrawnAt)}`,
    ]);
    const text = table([['NAME', 'VERSION', 'PUBLISHED', 'STATE'], ...rows]);
    return { exitCode: exitCodes.ok, value: imaPolicies, text };
  },
};

export const withdraw: Command = {
  usage: 'ima-policy withdraw NAME VERSION',
  help: `Devices with files that only this policy accepts are no longer affirmed.\n\n${operatorHelp}`,
  positionals: { min: 2, max: 2 },
  options: operatorOption,
  async run(args) {
    const [name = '', version = ''] = args.positionals;
    const path = `/v1/ima-policies/${encodeURIComponent(name)}/${encodeURIComponent(version)}/withdraw`;
    const value = await (await openOperator(args)).send('POST', path, {}, imaPolicyWithdrawn);
    return { exitCode: exitCodes.ok, value, text: `withdrawn: IMA policy ${name} ${version}` };
  },
};
