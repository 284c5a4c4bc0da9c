// `edgekeep root sign-issuing`: the root signs the requests of a hub's issuing CAs, all that are in one file.
import { toHex } from '@edgekeep/core/bytes';
import { counted } from '@edgekeep/core/counted';
import { type Certificate, certificateDigest } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { scopeOf, scopeText } from '@edgekeep/core/identity/issuing-scope';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { type CertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
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
Verifies the proof of possession of each request in the file, shows what will be signed, asks, writes a line for each into the ceremony
record, and then the certificates followed by the root (PEM). Only name, key and class are taken from a request, and the trust domain of
workloads; the bounds of a class are in docs/authorities.md.

${keyHelp}
--request  the file that the hub wrote (edgekeep authority request, edgekeep hub init --issuing-request)
--out      the file to write; an existing file is never overwritten
--days     how many days it is valid, at most ${issuingDays} and never longer than the root (default: ${issuingDays})
--yes      do not ask
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...keyOptions,
    request: { type: 'string' },
    out: { type: 'string' },
    days: { type: 'string' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const out = args.required('out');
    const requests = await readRequests(args.required('request'));
    const days = daysOf(args, issuingDays, issuingDays);
    const root = await openRoot(args);
    const nowMs = Date.now();
    const period = { nowSeconds: Math.floor(nowMs / 1_000), days };
    const templates = requests.map((request) => issuingTemplate(root.certificate, request, period));
    const shown = requests.flatMap((request, at) => {
      const template = templates[at];
      return template === undefined ? [] : [...describeTemplate(template), ...describeRequest(request), ''];
    });
    await confirm(args, `Sign ${counted(requests.length, 'issuing CA')}?`, [
      ...shown,
      `root         ${fingerprintText(root.certificate)}`,
    ]);
    const signed: Certificate[] = [];
    for (const template of templates) signed.push(await signIssuing(root, template, nowMs));
    const pem = [...signed, root.certificate].map(({ der }) => encodePem('CERTIFICATE', der)).join('');
    await writeNewFile(out, pem, 0o644);
    const issuing = signed.map((certificate) => ({
      id: idOf(certificate),
      class: classOf(certificate) ?? 'general',
      sha256: toHex(certificateDigest(certificate)),
      notAfter: certificate.notAfterSeconds * 1_000,
    }));
    const lines = issuing.map(({ id, class: each }) => `issuing CA ${id} (${each})`);
    return { exitCode: exitCodes.ok, value: { out, issuing }, text: [...lines, `written to ${out}`].join('\n') };
  },
};

async function readRequests(path: string): Promise<readonly CertificateRequest[]> {
  const text = Buffer.from(await readBounded(path, REQUEST_BYTES_MAX)).toString('utf8');
  return parsePem(text, 'CERTIFICATE REQUEST').map(parseCertificateRequest);
}

function describeRequest(request: CertificateRequest): readonly string[] {
  return [
    'path length  0 (it may issue no further authorities)',
    `issues for   ${scopeText(scopeOf(request))}`,
    `key          ${idOf(request)}`,
  ];
}

function idOf({ spki }: Pick<CertificateRequest, 'spki'>): string {
  return toHex(keyIdentifierOf(spki));
}
