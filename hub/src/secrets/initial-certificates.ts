// The initial certificates of a hub. `hub init --root-folder` makes them. With an offline root the hub waits for the one that its ceremony
// signed (spec/authorities.md), and `hub install-issuing` takes it. These files are public: reading them needs no unlocking.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { equalBytes, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { validatePath } from '@edgekeep/core/identity/path';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { HubError } from '../common/error.ts';
import { replaceFile } from '@edgekeep/host/durable-file';

/** In the folder `keys`. The request must not have the name of a key. */
export const initialCertificateFiles = { root: 'root.pem', issuing: 'issuing.pem', request: 'issuing.csr' } as const;
export const operatorFileName = 'operator.json';

/** The initial certificates; the ones in use later are in the store (authority/state.ts). Throws `settings-invalid`. */
export async function readInitialCertificates(
  folder: string,
): Promise<{ readonly root: Certificate; readonly issuing: Certificate }> {
  const { root, issuing, request } = initialCertificateFiles;
  const at = (name: string) => join(folder, 'keys', name);
  const waits = (await readIfThere(at(request))) !== undefined && (await readIfThere(at(root))) === undefined;
  if (waits) {
    throw new HubError(
      'settings-invalid',
      `${folder} waits for the certificate of its issuing CA: have ${at(request)} signed, then \`edgekeep hub install-issuing\``,
    );
  }
  return { root: await readCertificate(at(root)), issuing: await readCertificate(at(issuing)) };
}

/**
 * Completes a hub with an offline root. `pem` has the issuing CA and then its root, as `edgekeep root sign-issuing` writes it. Returns the
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
  const { issuing, root } = parsePair(pem);
  assertFits(issuing, root, request);
  const sha256 = toHex(certificateDigest(root));
  if (expectedRoot !== undefined && expectedRoot !== sha256)
    throw refused(`the root is ${sha256}, not the one that was expected`);
  const operatorFile = join(folder, operatorFileName);
  const operator: object = JSON.parse(await readFile(operatorFile, 'utf8'));
  const rootPem = encodePem('CERTIFICATE', root.der);
  await replaceFile(operatorFile, Buffer.from(`${JSON.stringify({ ...operator, root: rootPem }, null, 2)}\n`));
  await replaceFile(at(initialCertificateFiles.issuing), Buffer.from(encodePem('CERTIFICATE', issuing.der)));
  // Last, because its presence says that the hub is complete.
  await replaceFile(at(initialCertificateFiles.root), Buffer.from(rootPem));
  return sha256;
}

function parsePair(pem: string): { readonly issuing: Certificate; readonly root: Certificate } {
  try {
    const [issuing, root, ...more] = parsePem(pem, 'CERTIFICATE').map(parseCertificate);
    if (issuing !== undefined && root !== undefined && more.length === 0) return { issuing, root };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw refused(error.message);
  }
  throw refused('expected two certificates: the issuing CA and its root');
}

function assertFits(issuing: Certificate, root: Certificate, requestPem: string): void {
  const [der] = parsePem(requestPem, 'CERTIFICATE REQUEST');
  const { spki } = parseCertificateRequest(der ?? new Uint8Array(0));
  if (!equalBytes(spki, issuing.spki)) throw refused('the certificate is for another key than the one this hub made');
  const { basicConstraints, keyUsage } = issuing.extensions;
  const isAuthority = basicConstraints?.authority === true && basicConstraints.pathLength === 0;
  const usages = ['keyCertSign', 'cRLSign'] as const;
  if (!isAuthority || !usages.every((usage) => keyUsage?.includes(usage) === true))
    throw refused('the certificate is not one of an issuing CA: path length 0, keyCertSign, cRLSign');
  // The running hub checks the validity dates; here the machine's clock may not be set yet.
  const atSeconds = Math.max(issuing.notBeforeSeconds, root.notBeforeSeconds);
  const verdict = validatePath({ leaf: issuing, intermediates: [], anchors: [root], atSeconds, purpose: 'any' });
  if (verdict.kind === 'refused') throw refused(verdict.reasons.join('; '));
}

async function readCertificate(path: string): Promise<Certificate> {
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new HubError(
      'settings-invalid',
      `${path} cannot be read: is this the hub's data folder? \`edgekeep hub init\` makes one`,
    );
  }
  const [der] = parsePem(text, 'CERTIFICATE');
  if (der === undefined) throw new HubError('settings-invalid', `${path} holds no certificate`);
  return parseCertificate(der);
}

async function readIfThere(path: string): Promise<string | undefined> {
  return orIfMissing(readFile(path, 'utf8'), undefined);
}

function refused(message: string): HubError {
  return new HubError('settings-invalid', message);
}
