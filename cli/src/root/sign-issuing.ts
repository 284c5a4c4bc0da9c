// `edgekeep root sign-issuing`: the root signs the request of a hub's issuing CA.
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { CoreError } from '@edgekeep/core/error';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { exitCodes, type Command } from '../command.ts';
import { readBounded } from '../bounded-file.ts';
import { describeTemplate, fingerprintText, issuingTemplate, signIssuing } from './ceremony.ts';
import { confirm, daysOf } from './confirm.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';

const issuingDays = 1_826;
const REQUEST_BYTES_MAX = 64 * 1024;

export const command: Command = {
  usage: `root sign-issuing ${keyUsage} --request FILE --out FILE [--days N] [--yes]`,
  help: `
Verifies that the request was signed with the key it contains, shows what will be signed, and asks. Then it writes a line into the ceremony
record, and the certificate followed by the root (PEM) to --out. Only name and key are taken from the request.

${keyHelp}
--request  the file that the hub wrote (edgekeep authority request, edgekeep hub init --issuing-request)
--out      the file to write; an existing file is never overwritten
--days     how many days it is valid, at most ${issuingDays} and never longer than the root (default: ${issuingDays})
--yes      do not ask
`,
  positionals: { least: 0, most: 0 },
  options: {
    ...keyOptions,
    request: { type: 'string' },
    out: { type: 'string' },
    days: { type: 'string' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const out = args.required('out');
    const text = Buffer.from(await readBounded(args.required('request'), REQUEST_BYTES_MAX)).toString('utf8');
    const [der] = parsePem(text, 'CERTIFICATE REQUEST');
    if (der === undefined) throw new CoreError('certificate-request-invalid', 'the file holds no request');
    const request = parseCertificateRequest(der);
    const days = daysOf(args, issuingDays, issuingDays);
    const root = await openRoot(args);
    const nowMs = Date.now();
    const template = issuingTemplate(root.certificate, request, { nowSeconds: Math.floor(nowMs / 1_000), days });
    const id = toHex(keyIdentifierOf(request.spki));
    await confirm(args, 'Sign this issuing CA?', [
      ...describeTemplate(template),
      'path length  0 (it may issue no further authorities)',
      `key          ${id}`,
      `root         ${fingerprintText(root.certificate)}`,
    ]);
    const certificate = await signIssuing(root, template, nowMs);
    const pem = encodePem('CERTIFICATE', certificate.der) + encodePem('CERTIFICATE', root.certificate.der);
    await writeNewFile(out, pem, 0o644);
    const value = {
      out,
      id,
      sha256: toHex(certificateDigest(certificate)),
      notAfter: certificate.notAfterSeconds * 1_000,
    };
    return { exitCode: exitCodes.ok, value, text: `issuing CA ${id}\nwritten to ${out}` };
  },
};
