// `edgekeep device replace-root`: a wiped device returns with another root of trust.
import { replaceRootResponse } from '@edgekeep/wire/api/device-view';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const command: Command = {
  usage: 'device replace-root ID --root SHA256 --reason TEXT',
  help: `
For a device whose board or TPM was replaced, once it is wiped (\`device mark-wiped\`): it may enroll again under its id with this
root of trust, and with no other. The old one stays refused unless it is imported under another id.

--root      SHA-256 of the SubjectPublicKeyInfo of the new endorsement key
--reason    why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, root: { type: 'string' }, reason: { type: 'string' } },
  async run(args) {
    const [id = ''] = args.positionals;
    const body = { rootSha256: args.required('root'), reason: args.required('reason') };
    const path = `/v1/devices/${encodeURIComponent(id)}/replace-root`;
    const value = await (await openOperator(args)).send('POST', path, body, replaceRootResponse);
    const text = `${value.deviceId} may enroll again with the root of trust ${value.rootSha256}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};
