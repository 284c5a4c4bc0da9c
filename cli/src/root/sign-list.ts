// `edgekeep root sign-crl`: the root's own revocation list, for an issuing CA whose key was stolen.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { parseCrl, type RevokedCertificate } from '@edgekeep/core/identity/crl';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { parsePem } from '@edgekeep/core/identity/pem';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { replaceFile, writeNewFile } from '@edgekeep/host/durable-file';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { dateText, signRootList } from './ceremony.ts';
import { confirm, daysOf } from './confirm.ts';
import { type OpenRoot, readRootCertificate } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';
import { warnSignedBefore } from './signed-before.ts';

const listDays = 180;
const listFile = 'root.crl';

export const command: Command = {
  usage: `root sign-crl ${keyUsage} [--revoke CERTIFICATE]… [--id ID]… [--out FILE|FOLDER] [--days N] [--yes]`,
  help: `
Adds certificates of issuing CAs to the root's list (root.crl in the folder), and signs it. When no certificate is added,
the list is renewed unchanged.

${keyHelp}
--revoke  PEM file of an issuing CA of this root; may be repeated
--id      which one, where a file has several: its id in edgekeep authority list; may be repeated
--out     the file to write, DER, or a folder for a file that has the root and the day in its name (default: the current folder). An existing file
          is never overwritten
--days    how many days until its next update (default: ${listDays})
--yes     do not ask
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...keyOptions,
    revoke: { type: 'string', multiple: true },
    id: { type: 'string', multiple: true },
    out: { type: 'string' },
    days: { type: 'string' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const days = daysOf(args, listDays, 3_650);
    const nowMs = Date.now();
    const certificate = await readRootCertificate(args.required('folder'));
    const by = toHex(certificateDigest(certificate)).slice(0, 8);
    const out = placeIn(args.option('out'), '.', () => `crl-root-${by}-${dayText(nowMs)}.crl`);
    await assertNewFile(out);
    const root = await openRoot(args);
    const ids = args.all('id');
    const files = args.all('revoke');
    const kept = join(root.folder, listFile);
    const earlier = await orIfMissing(readFile(kept), undefined);
    const asked = (await Promise.all(files.map((file) => readRevoked(root, file, ids, nowMs)))).flat();
    const revoked = withoutListed(asked, earlier);
    const lines = revoked.map(({ serial }) => `revoke       ${Buffer.from(serial).toString('hex')}`);
    await confirm(args, 'Sign this list?', [...lines, `next update  in ${days} days`]);
    const list = await signRootList(root, { earlier, revoked, days, nowMs });
    // The root's own copy first: the next list must have a higher number.
    await replaceFile(kept, list);
    await writeNewFile(out, list, 0o644);
    return { exitCode: exitCodes.ok, value: { out, revoked: revoked.length }, text: `list written to ${out}` };
  },
};

/** What is on the list already keeps its date; says so. */
function withoutListed(asked: readonly RevokedCertificate[], earlier: Uint8Array | undefined) {
  const listed = earlier === undefined ? [] : [...parseCrl(earlier).revoked.values()];
  return asked.filter(({ serial }) => {
    const before = listed.find((each) => serialOf(each.serial) === serialOf(serial));
    if (before !== undefined)
      warnSignedBefore([
        `${toHex(serial)} is on the list since ${dateText(before.revokedAtSeconds)} UTC; the list is renewed, and it stays on it`,
      ]);
    return before === undefined;
  });
}

const serialOf = (serial: Uint8Array) => toHex(serial).replace(/^0+/, '');

async function readRevoked(
  { certificate: root }: OpenRoot,
  file: string,
  ids: readonly string[],
  nowMs: number,
): Promise<readonly RevokedCertificate[]> {
  const all = parsePem(await readFile(file, 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const own = all.filter(
    ({ subject, issuer, extensions }) =>
      equalNames(issuer, root.subject) &&
      !equalNames(subject, issuer) &&
      extensions.basicConstraints?.authority === true,
  );
  const chosen = ids.length === 0 ? own : own.filter((each) => ids.includes(idOf(each)));
  if (chosen.length === 0) throw new CoreError('certificate-invalid', `${file} has no such issuing CA of this root`);
  // A ceremony's file has the CAs of all classes, and the key of one was stolen.
  if (chosen.length > 1 && ids.length === 0)
    throw new UsageError(
      `${file} has ${chosen.length} issuing CAs, name those to revoke: --id ${own.map(idOf).join(' --id ')}`,
    );
  return chosen.map((certificate) => {
    const serial = serialText(certificate);
    const even = serial.padStart(serial.length + (serial.length % 2), '0');
    const revokedAtSeconds = Math.floor(nowMs / 1_000);
    return { serial: parseHex(even, 'serial'), revokedAtSeconds, reason: 'cACompromise' };
  });
}

function idOf({ spki }: Certificate): string {
  return toHex(keyIdentifierOf(spki));
}
