// `edgekeep root init`: a root authority, offline. Its key is made in a folder or in a token, and no hub ever sees it.
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { exitCodes, type Command } from '../command.ts';
import { describe, fingerprintText, selfSign } from './ceremony.ts';
import { daysOf } from './confirm.ts';
import { makeRootFolder, record, writeRootCertificate } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, makeRootKey } from './root-key.ts';

const rootDays = 7_305;

export const command: Command = {
  usage: `root init ${keyUsage} [--name NAME] [--days N] [--plain]`,
  help: `
Makes a P-256 key, a self-signed root certificate (root.pem) and the first line of the ceremony record. Do it on a machine without a
network; docs/authorities.md has the whole ceremony.

${keyHelp}
--name   the root's common name (default: Edgekeep root); the next root must have the same
--days   how many days it is valid (default: ${rootDays})
--plain  store the key in the folder without a passphrase: for tests
`,
  positionals: { min: 0, max: 0 },
  options: { ...keyOptions, name: { type: 'string' }, days: { type: 'string' }, plain: { type: 'boolean' } },
  async run(args) {
    const folder = args.required('folder');
    const days = daysOf(args, rootDays, 36_500);
    await makeRootFolder(folder);
    const signer = await makeRootKey(args, args.flag('plain'));
    const nowMs = Date.now();
    const subject = commonNameOnly(args.option('name') ?? 'Edgekeep root');
    const certificate = await selfSign(signer, subject, { nowSeconds: Math.floor(nowMs / 1_000), days });
    await record({ folder, certificate, signer }, { at: nowMs, kind: 'root-made', data: describe(certificate) });
    await writeRootCertificate(folder, certificate);
    const value = {
      folder,
      sha256: toHex(certificateDigest(certificate)),
      notAfter: certificate.notAfterSeconds * 1_000,
    };
    const text = `root made in ${folder}\nSHA-256 ${fingerprintText(certificate)}\nnote this value: it is compared when the root is installed`;
    return { exitCode: exitCodes.ok, value, text };
  },
};
