// `edgekeep root sign-rollover`: the old root certifies the new one, and the new one the old.
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest } from '@edgekeep/core/identity/certificate';
import { encodePem } from '@edgekeep/core/identity/pem';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { exitCodes, type Command, type Outcome } from '../command.ts';
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { dateText, fingerprintText, signRollover } from './ceremony.ts';
import { confirm } from './confirm.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { type OpenRoot, readRootCertificate } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';
import { keepSigned, signedAtText, signedBefore, warnSignedBefore } from './signed-before.ts';

export const command: Command = {
  usage: `root sign-rollover ${keyUsage} --new-folder DIR [--new-passphrase-fd N | --new-pkcs11 MODULE [--new-token LABEL | --new-slot N] --new-pin-file FILE [--new-key-label LABEL]] [--out FILE|FOLDER] [--again] [--yes]`,
  help: `
The old root signs the new one, and the new root the old one (NewWithOld and OldWithNew of RFC 4210 section 4.4). Writes a line into
both ceremony records, and one file with the new root and both links: the hub takes it by edgekeep authority announce-root.

${keyHelp}
--new-folder     the new root's folder
--new-passphrase-fd, --new-pkcs11, --new-token, --new-slot, --new-pin-file, --new-key-label  the same for the key of the new root
--out    the file for the three certificates, or a folder for a file that has both roots and the day in its name (default: the current folder).
         An existing file is never overwritten
--again  sign anew what was signed before: without it the same links are written again, with a warning
--yes    do not ask
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...keyOptions,
    'new-folder': { type: 'string' },
    'new-pkcs11': { type: 'string' },
    'new-token': { type: 'string' },
    'new-slot': { type: 'string' },
    'new-pin-file': { type: 'string' },
    'new-key-label': { type: 'string' },
    'new-passphrase-fd': { type: 'string' },
    out: { type: 'string' },
    again: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const [oldFolder, newFolder] = [args.required('folder'), args.required('new-folder')];
    const pair = [await readRootCertificate(oldFolder), await readRootCertificate(newFolder)] as const;
    const ids = pair.map((each) => toHex(certificateDigest(each)).slice(0, 8)).join('-to-');
    const out = placeIn(args.option('out'), '.', () => `rollover-${ids}-${dayText(Date.now())}.pem`);
    await assertNewFile(out);
    const keptName = `rollover-${toHex(certificateDigest(pair[1]))}.pem`;
    const kept = args.flag('again') ? undefined : await signedBefore(oldFolder, keptName);
    if (kept !== undefined) {
      const [, link = pair[1]] = kept;
      warnSignedBefore([
        `the new root was certified at ${await signedAtText(oldFolder, link)}`,
        'the same certificates are written again; --again signs new ones',
      ]);
      return written(out, kept);
    }
    const oldRoot = await openRoot(args);
    const ofNew = {
      ...args,
      option: (name: string) => args.option(`new-${name}`),
      required: (name: string) => args.required(`new-${name}`),
    };
    const newRoot = await openRoot(ofNew);
    await confirm(args, 'Certify the new root by the old one?', [...shown('old', oldRoot), ...shown('new', newRoot)]);
    const { newWithOld, oldWithNew } = await signRollover(oldRoot, newRoot, Date.now());
    const all = [newRoot.certificate, newWithOld, oldWithNew];
    await keepSigned(oldFolder, keptName, all);
    return written(out, all);
  },
};

async function written(out: string, certificates: readonly Certificate[]): Promise<Outcome> {
  await writeNewFile(out, certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''), 0o644);
  return { exitCode: exitCodes.ok, value: { out }, text: `new root, NewWithOld and OldWithNew written to ${out}` };
}

function shown(what: string, { certificate }: OpenRoot): readonly string[] {
  return [
    `${what} root     ${nameText(certificate.subject)}`,
    `  ends       ${dateText(certificate.notAfterSeconds)} UTC`,
    `  SHA-256    ${fingerprintText(certificate)}`,
  ];
}
