// `edgekeep ima-policy publish|list|withdraw`: what may run on devices, signed by a publisher.
import { parseImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { imaPolicyList, imaPolicyView, imaPolicyWithdrawn } from '@edgekeep/wire/api/ima-policy';
import { exitCodes, type Command } from '../command.ts';
import { readSigner } from '../model/key-files.ts';
import { signDocumentFile } from '../model/signed-document.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

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
    const order = await signDocumentFile(file, signer, parseImaPolicy);
    const value = await (await openOperator(args)).send('POST', '/v1/ima-policies', order, imaPolicyView);
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
