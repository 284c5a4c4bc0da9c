// `edgekeep root sign-issuing`: the root signs the requests of a hub's issuing CAs, all that are in one file.
import { dirname } from 'node:path';
import { equalBytes, toHex } from '@edgekeep/core/bytes';
import { counted } from '@edgekeep/core/counted';
import { type Certificate, certificateDigest } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { scopeOf, scopeText } from '@edgekeep/core/identity/issuing-scope';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { type CertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
import { type Arguments, exitCodes, type Command } from '../command.ts';
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { readBounded } from '../bounded-file.ts';
import { dateText, describeTemplate, fingerprintText, issuingTemplate, signIssuing } from './ceremony.ts';
import { confirm, daysOf } from './confirm.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { readRootCertificate } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';
import { keepSigned, signedAtText, signedBefore, warnSignedBefore } from './signed-before.ts';

const issuingDays = 1_826;
const REQUEST_BYTES_MAX = 64 * 1024;

export const command: Command = {
  usage: `root sign-issuing ${keyUsage} --request FILE [--out FILE|FOLDER] [--days N] [--again] [--yes]`,
  help: `
Verifies the proof of possession of each request in the file, shows what will be signed, asks, writes a line for each into the ceremony
record, and then the certificates followed by the root (PEM). Only name, key and class are taken from a request, and the trust domain of
workloads; the bounds of a class are in docs/authorities.md. A request that this folder signed before gets the same certificate again, with a warning.

${keyHelp}
--request  the file that the hub wrote (edgekeep authority request, edgekeep hub init --issuing-request)
--out      the file to write, or a folder for a file that has the ids of the CAs, of the root, and the day in its name (default: the folder of the request).
           An existing file is never overwritten
--days     how many days it is valid, at most ${issuingDays} and never longer than the root (default: ${issuingDays})
--again    sign anew what was signed before, for example with other --days
--yes      do not ask
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...keyOptions,
    request: { type: 'string' },
    out: { type: 'string' },
    days: { type: 'string' },
    again: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const file = args.required('request');
    const requests = await readRequests(file);
    const days = daysOf(args, issuingDays, issuingDays);
    const folder = args.required('folder');
    const certificate = await readRootCertificate(folder);
    const nowMs = Date.now();
    const out = placeIn(args.option('out'), dirname(file), () => nameOf(requests, certificate, nowMs));
    await assertNewFile(out);
    const kept = args.flag('again') ? undefined : await keptFor(folder, requests, nowMs);
    const signed = kept ?? (await signAll(args, requests, { days, nowMs }));
    const pem = [...signed, certificate].map(({ der }) => encodePem('CERTIFICATE', der)).join('');
    await writeNewFile(out, pem, 0o644);
    const issuing = signed.map((each) => ({
      id: idOf(each),
      class: classOf(each) ?? 'general',
      sha256: toHex(certificateDigest(each)),
      notAfter: each.notAfterSeconds * 1_000,
    }));
    const lines = issuing.map(({ id, class: each }) => `issuing CA ${id} (${each})`);
    const value = { out, issuing, signedBefore: kept !== undefined };
    return { exitCode: exitCodes.ok, value, text: [...lines, `written to ${out}`].join('\n') };
  },
};

/** Shows all, asks once, and signs; the root's folder keeps each certificate. */
async function signAll(
  args: Arguments,
  requests: readonly CertificateRequest[],
  { days, nowMs }: { readonly days: number; readonly nowMs: number },
): Promise<readonly Certificate[]> {
  const root = await openRoot(args);
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
  for (const template of templates) {
    const certificate = await signIssuing(root, template, nowMs);
    await keepSigned(root.folder, keptName(certificate), [certificate]);
    signed.push(certificate);
  }
  return signed;
}

/** The certificates for these requests, where each was signed before and is valid; says so. */
async function keptFor(
  folder: string,
  requests: readonly CertificateRequest[],
  nowMs: number,
): Promise<readonly Certificate[] | undefined> {
  const kept = (
    await Promise.all(requests.map(async (each) => (await signedBefore(folder, keptName(each))) ?? []))
  ).flat();
  const isWhole = kept.length === requests.length && requests.every((each, at) => isFor(kept[at], each, nowMs));
  if (!isWhole) {
    for (const each of kept) warnSignedBefore([await keptLine(folder, each)]);
    return undefined;
  }
  const lines = await Promise.all(kept.map((each) => keptLine(folder, each)));
  warnSignedBefore([...lines, 'the same certificates are written again; --again signs new ones']);
  return kept;
}

async function keptLine(folder: string, certificate: Certificate): Promise<string> {
  const until = dateText(certificate.notAfterSeconds);
  return `issuing CA ${idOf(certificate)} (${classOf(certificate) ?? 'general'}) at ${await signedAtText(folder, certificate)}, valid until ${until} UTC`;
}

function isFor(certificate: Certificate | undefined, request: CertificateRequest, nowMs: number): boolean {
  return (
    certificate !== undefined &&
    equalBytes(certificate.spki, request.spki) &&
    scopeText(scopeOf(certificate)) === scopeText(scopeOf(request)) &&
    certificate.notAfterSeconds * 1_000 > nowMs
  );
}

const keptName = (of: Pick<CertificateRequest, 'spki'>) => `issuing-${idOf(of)}.pem`;

/** The name of the answer: which CAs, by which root, on which day. */
function nameOf(requests: readonly CertificateRequest[], root: Certificate, nowMs: number): string {
  const ids = requests.map((each) => `${scopeOf(each)?.certificateClass ?? 'general'}-${idOf(each).slice(0, 8)}`);
  const by = toHex(certificateDigest(root)).slice(0, 8);
  return `issuing-${ids.join('-')}-root-${by}-${dayText(nowMs)}.pem`;
}

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
