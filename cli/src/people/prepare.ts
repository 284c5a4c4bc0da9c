// `edgekeep token prepare`: a person makes their own token, so that nobody else ever has it, and gives its SHA-256 to an administrator.
import { writeNewFile } from '@edgekeep/host/durable-file';
import { type Command, exitCodes } from '../command.ts';
import { operatorAddress } from '../operator-file.ts';
import { newToken } from './token.ts';
import { readJson } from '../person-file.ts';

export const command: Command = {
  usage: 'token prepare --from FILE --out FILE',
  help: `
Writes an operator file with a new token, only for you, and prints the token's SHA-256. Tell it to an administrator in person; they
register it with \`edgekeep token create --person NAME --sha256 HEX\`. Until then the token is not valid. Works offline.

--from      the file of \`edgekeep person add --address FILE\`, or any operator file of the hub
--out       the operator file to write; it must not exist
`,
  positionals: { min: 0, max: 0 },
  options: { from: { type: 'string' }, out: { type: 'string' } },
  async run(args) {
    const from = args.required('from');
    const out = args.required('out');
    const address = await readJson(from, operatorAddress, `operator file ${from}`);
    const { token, sha256 } = newToken();
    await writeNewFile(out, `${JSON.stringify({ ...address, token }, null, 2)}\n`);
    return { exitCode: exitCodes.ok, value: { out, sha256 }, text: `wrote ${out}\nSHA-256 ${sha256}` };
  },
};
