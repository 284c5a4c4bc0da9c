// `edgekeep root show`: a root and the uses of its key, verified.
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { exitCodes, type Command } from '../command.ts';
import { table, timeText } from '../table.ts';
import { dateText, fingerprintText } from './ceremony.ts';
import { readRecord, readRootCertificate } from './root-folder.ts';

export const command: Command = {
  usage: 'root show --folder DIR',
  help: `
Needs no key. Exit code 3 when a line of the record is missing, changed or signed by another key.

--folder  the root's folder
`,
  positionals: { min: 0, max: 0 },
  options: { folder: { type: 'string' } },
  async run(args) {
    const folder = args.required('folder');
    const certificate = await readRootCertificate(folder);
    const entries = await readRecord(folder);
    const rows = entries.map(({ index, at, kind, data }) => [
      String(index),
      timeText(at),
      kind,
      data['subject'] ?? data['serials'] ?? '',
      data['serial'] ?? '',
    ]);
    const value = { subject: nameText(certificate.subject), sha256: toHex(certificateDigest(certificate)), entries };
    const head = [
      `${nameText(certificate.subject)}, until ${dateText(certificate.notAfterSeconds)} UTC`,
      `SHA-256 ${fingerprintText(certificate)}`,
    ];
    return {
      exitCode: exitCodes.ok,
      value,
      text: [...head, table([['', 'AT (UTC)', 'USED FOR', '', ''], ...rows])].join('\n'),
    };
  },
};
