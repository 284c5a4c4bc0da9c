// `edgekeep authority trust`: adds to the operator file the roots that its own root certified, and no others.
import { CoreError } from '@edgekeep/core/error';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { followRollovers } from '@edgekeep/core/identity/rollover';
import { replaceFile } from '@edgekeep/host/durable-file';
import { authoritiesResponse, offeredRootsOf } from '@edgekeep/wire/api/authority';
import { z } from 'zod';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorFileOf, operatorHelp, operatorOption } from '../operator.ts';
import { fingerprintText } from '../root/ceremony.ts';
import { readJson } from '../person-file.ts';

export const command: Command = {
  usage: 'authority trust',
  help: `
Asks the hub for its roots, follows the signed steps from the root in the operator file, and adds the new ones to it. An invalid
step is refused (exit code 1) and changes nothing. Roots that the hub has dropped are removed from the file when it has a later one.

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const file = operatorFileOf(args);
    const answer = await (await openOperator(args)).get('/v1/authorities/chain', authoritiesResponse);
    const access = await readJson(file, z.looseObject({ root: z.string() }), `operator file ${file}`);
    const known = parsePem(access.root, 'CERTIFICATE').map(parseCertificate);
    const result = followRollovers(known, offeredRootsOf(answer), Math.floor(Date.now() / 1_000));
    if (result.kind === 'refused') {
      const text = `refused, nothing was changed: ${result.reasons.join('; ')}`;
      return { exitCode: exitCodes.refused, value: result, text };
    }
    const dropped = new Set(
      answer.roots.filter(({ status }) => status === 'dropped').map(({ certificate }) => certificate),
    );
    const kept = result.roots.filter(({ der }) => !dropped.has(Buffer.from(der).toString('base64url')));
    if (kept.length === 0) throw new CoreError('certificate-invalid', 'the hub dropped every root it has');
    const root = kept.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
    await replaceFile(file, Buffer.from(`${JSON.stringify({ ...access, root }, null, 2)}\n`));
    const value = { roots: kept.map(fingerprintText) };
    return { exitCode: exitCodes.ok, value, text: ['this operator file trusts', ...value.roots].join('\n') };
  },
};
