// The initial certificates of a hub. `hub init --root-folder` makes them. With an offline root the hub waits for the one that its ceremony
// signed (spec/authorities.md), and `hub install-issuing` takes it. These files are public: reading them needs no unlocking.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { equalBytes, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { scopeOf, scopeProblems } from '@edgekeep/core/identity/issuing-scope';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { validatePath } from '@edgekeep/core/identity/path';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { HubError } from '../common/error.ts';
import { replaceFile } from '@edgekeep/host/durable-file';

/** In the folder `keys`. The request must not have the name of a key. */
export const initialCertificateFiles = {
  root: 'root.pem',
  issuing: 'issuing.pem',
  request: 'issuing.csr',
  keyList: 'key-list.json',
} as const;
export const operatorFileName = 'operator.json';

export interface InitialCertificates {
  readonly root: Certificate;
  /** One for each class; or the one of a hub from before there were classes. */
  readonly issuing: readonly Certificate[];
}

/** The initial certificates; the ones in use later are in the store (authority/state.ts). Throws `settings-invalid`. */
export async function readInitialCertificates(folder: string): Promise<InitialCertificates> {
  const { root, issuing, request } = initialCertificateFiles;
  const at = (name: string) => join(folder, 'keys', name);
  const waits = (await readIfThere(at(request))) !== undefined && (await readIfThere(at(root))) === undefined;
  if (waits) {
    throw new HubError(
      'settings-invalid',
      `${folder} waits for the certificates of its issuing CAs: have ${at(request)} signed, then \`edgekeep hub install-issuing\``,
    );
  }
  const [first, ...more] = await readCertificates(at(root));
  if (first === undefined || more.length > 0)
    throw new HubError('settings-invalid', `${at(root)} holds more than one certificate`);
  return { root: first, issuing: await readCertificates(at(issuing)) };
}

/**
 * Completes a hub with an offline root. `pem` has the issuing CAs and then their root, as `edgekeep root sign-issuing` writes it. Returns the
 * SHA-256 of the root, which everybody will trust: compare it with the value noted at the ceremony. May be repeated after a kill.
 */
export async function installInitialCertificates(
  folder: string,
  pem: string,
  expectedRoot: string | undefined,
): Promise<string> {
  const at = (name: string) => join(folder, 'keys', name);
  const request = await readIfThere(at(initialCertificateFiles.request));
  if (request === undefined)
    throw refused(
      `${folder} does not wait for a certificate: a running hub takes the next one by \`edgekeep authority install\``,
    );
  if ((await readIfThere(at(initialCertificateFiles.root))) !== undefined)
    throw new HubError('conflict', `${folder} has its certificates`);
  const { issuing, root } = parseSigned(pem);
  assertFits(issuing, root, request);
  const sha256 = toHex(certificateDigest(root));
  if (expectedRoot !== undefined && expectedRoot !== sha256)
    throw refused(`the root is ${sha256}, not the one that was expected`);
  const operatorFile = join(folder, operatorFileName);
  const operator: object = JSON.parse(await readFile(operatorFile, 'utf8'));
  const rootPem = encodePem('CERTIFICATE', root.der);
  await replaceFile(operatorFile, Buffer.from(`${JSON.stringify({ ...operator, root: rootPem }, null, 2)}\n`));
  const issuingPem = issuing.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
  await replaceFile(at(initialCertificateFiles.issuing), Buffer.from(issuingPem));
  // Last, because its presence says that the hub is complete.
  await replaceFile(at(initialCertificateFiles.root), Buffer.from(rootPem));
  return sha256;
}

function parseSigned(pem: string): InitialCertificates {
  try {
    const all = parsePem(pem, 'CERTIFICATE').map(parseCertificate);
    const [root, ...issuing] = all.toReversed();
    if (root !== undefined && issuing.length > 0) return { root, issuing: issuing.toReversed() };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw refused(error.message);
  }
  throw refused('expected the issuing CAs and their root');
}

/** One certificate for each request, in any order. */
function assertFits(issuing: readonly Certificate[], root: Certificate, requestPem: string): void {
  const requests = parsePem(requestPem, 'CERTIFICATE REQUEST').map(parseCertificateRequest);
  if (issuing.length !== requests.length)
    throw refused(`${issuing.length} certificates of issuing CAs for ${requests.length} requests`);
  for (const request of requests) {
    const certificate = issuing.find(({ spki }) => equalBytes(spki, request.spki));
    if (certificate === undefined) throw refused('a certificate is for another key than the one this hub made');
    const problems = issuingProblems(certificate, request);
    if (problems.length > 0) throw refused(problems.join('; '));
    // The running hub checks the validity dates; here the machine's clock may not be set yet.
    const atSeconds = Math.max(certificate.notBeforeSeconds, root.notBeforeSeconds);
    const verdict = validatePath({ leaf: certificate, intermediates: [], anchors: [root], atSeconds, purpose: 'any' });
    if (verdict.kind === 'refused') throw refused(verdict.reasons.join('; '));
  }
}

/** What keeps a signed certificate from being the issuing CA that was asked for (spec/authorities.md, "The request of an issuing CA"). */
export function issuingProblems(certificate: Certificate, request: Pick<Certificate, 'extensions'>): readonly string[] {
  const { basicConstraints, keyUsage, subjectKeyIdentifier = new Uint8Array(0) } = certificate.extensions;
  const checks: readonly (readonly [boolean, string])[] = [
    [
      basicConstraints?.authority === true && basicConstraints.pathLength === 0,
      'it is not an authority with path length 0',
    ],
    [keyUsage?.includes('keyCertSign') === true, 'its key usage lacks keyCertSign'],
    [keyUsage?.includes('cRLSign') === true, 'its key usage lacks cRLSign'],
    [
      equalBytes(subjectKeyIdentifier, keyIdentifierOf(certificate.spki)),
      'its subject key identifier is not the one of its key (RFC 7093)',
    ],
  ];
  const problems = checks.filter(([holds]) => !holds).map(([, problem]) => problem);
  const scope = scopeOf(request);
  if (scope !== undefined) return [...problems, ...scopeProblems(certificate, scope)];
  return classOf(certificate) === undefined ? problems : [...problems, 'it has a class that was not asked for'];
}

async function readCertificates(path: string): Promise<readonly Certificate[]> {
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new HubError(
      'settings-invalid',
      `${path} cannot be read: is this the hub's data folder? \`edgekeep hub init\` makes one`,
    );
  }
  return parsePem(text, 'CERTIFICATE').map(parseCertificate);
}

async function readIfThere(path: string): Promise<string | undefined> {
  return orIfMissing(readFile(path, 'utf8'), undefined);
}

function refused(message: string): HubError {
  return new HubError('settings-invalid', message);
}
