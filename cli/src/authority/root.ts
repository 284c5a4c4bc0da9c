// Roll-over of the root at the hub: `edgekeep authority announce-root`, `overlap`, `install-crl` (docs/authorities.md).
import { readFile } from 'node:fs/promises';
import { toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { CRL_LENGTH_MAX } from '@edgekeep/core/identity/crl';
import { parsePem } from '@edgekeep/core/identity/pem';
import { authorityOverview } from '@edgekeep/wire/api/authority';
import { type Arguments, type Command, UsageError } from '../command.ts';
import { readBounded } from '../bounded-file.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { fingerprintText } from '../root/ceremony.ts';
import { confirm } from '../root/confirm.ts';
import { timeOf } from './issuing.ts';
import { overviewOutcome } from './overview.ts';

export const announce: Command = {
  usage: 'authority announce-root FILE [--yes]',
  help: `
FILE is what edgekeep root sign-rollover wrote. From now on every device that connects learns the new root. This cannot be undone: a device
that knows it accepts no other successor of the old one.

--yes  do not ask

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, yes: { type: 'boolean' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const certificates = await readFile(file, 'utf8');
    const roots = parsePem(certificates, 'CERTIFICATE').slice(0, 1).map(parseCertificate);
    await confirm(
      args,
      'Announce this root?',
      roots.map((root) => `SHA-256 ${fingerprintText(root)}`),
    );
    const operator = await openOperator(args);
    return overviewOutcome(await operator.send('POST', '/v1/authorities/roots', { certificates }, authorityOverview));
  },
};

export const overlap: Command = {
  usage: 'authority overlap SHA256 --until TIME',
  help: `
An old root is dropped after this time, when no issuing CA under it is left.

--until  a day, or a time like 2027-03-01T06:00Z

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, until: { type: 'string' } },
  async run(args) {
    const body = { endsAt: timeOf(args.required('until'), '--until') };
    const path = await rootPath(args, 'overlap');
    return overviewOutcome(await (await openOperator(args)).send('POST', path, body, authorityOverview));
  },
};

export const installList: Command = {
  usage: 'authority install-crl FILE --root SHA256',
  help: `
FILE is what edgekeep root sign-crl wrote. Devices take it from the hub and refuse server certificates below the issuing CAs on it; others
find it at /crl/root/SHA256.

--root  the root that signed it: its id in edgekeep authority list, or the first digits

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, root: { type: 'string' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const body = { list: toBase64url(await readBounded(file, CRL_LENGTH_MAX)) };
    const path = await rootPath(args, 'list', args.required('root'));
    return overviewOutcome(await (await openOperator(args)).send('POST', path, body, authorityOverview));
  },
};

/** The route of a root that is named by its digest or the first digits of it. */
async function rootPath(args: Arguments, verb: string, name = args.positionals[0] ?? ''): Promise<string> {
  if (!/^[0-9a-f]{8,64}$/.test(name)) throw new UsageError('a root is named by at least 8 hex digits of its SHA-256');
  const { roots } = await (await openOperator(args)).get('/v1/authorities', authorityOverview);
  const [found, ...more] = roots.filter(({ sha256 }) => sha256.startsWith(name));
  if (found === undefined || more.length > 0)
    throw new UsageError(`${name} names ${found === undefined ? 'no' : 'more than one'} root`);
  return `/v1/authorities/roots/${found.sha256}/${verb}`;
}
