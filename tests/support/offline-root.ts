// The root that `hub init --root-folder` made, and the following ones, as people at a ceremony use them: for tests of rotation and
// roll-over.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OpenRoot, readRootCertificate, writeRootCertificate, writeRootKey } from '@edgekeep/cli/root/root-folder';
import { issuingTemplate, selfSign, signIssuing, signRollover, signRootList } from '@edgekeep/cli/root/ceremony';
import { type KeyList, signKeyList } from '@edgekeep/core/authority/key-list';
import { parseKeyListRequest } from '@edgekeep/core/authority/key-list-request';
import { utf8 } from '@edgekeep/core/bytes';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { signerFromKey } from '@edgekeep/core/signer';

const rootDays = 7_305;
const issuingDays = 1_826;

export class OfflineRoot {
  readonly #root: OpenRoot;
  readonly #now: () => number;

  private constructor(root: OpenRoot, now: () => number) {
    this.#root = root;
    this.#now = now;
  }

  /** One that exists. */
  static async open(folder: string, now: () => number): Promise<OfflineRoot> {
    const signer = signerFromKey(createPrivateKey(await readFile(join(folder, 'root-key.pem'))));
    return new OfflineRoot({ folder, certificate: await readRootCertificate(folder), signer }, now);
  }

  get certificate(): Certificate {
    return this.#root.certificate;
  }

  get pem(): string {
    return encodePem('CERTIFICATE', this.certificate.der);
  }

  /** A new root of the same name. */
  async successor(folder: string): Promise<OfflineRoot> {
    await mkdir(folder, { recursive: true });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeRootKey(folder, privateKey, undefined);
    const period = { nowSeconds: Math.floor(this.#now() / 1_000), days: rootDays };
    const certificate = await selfSign(signerFromKey(privateKey), this.certificate.subject, period);
    await writeRootCertificate(folder, certificate);
    return OfflineRoot.open(folder, this.#now);
  }

  /** The file for `authority install`. */
  async signIssuing(requestPem: string, days = issuingDays): Promise<string> {
    const period = { nowSeconds: Math.floor(this.#now() / 1_000), days };
    let signed = '';
    for (const request of parsePem(requestPem, 'CERTIFICATE REQUEST').map(parseCertificateRequest)) {
      const template = issuingTemplate(this.certificate, request, period);
      signed += encodePem('CERTIFICATE', (await signIssuing(this.#root, template, this.#now())).der);
    }
    return signed + this.pem;
  }

  /** The file for `authority announce-root`, in which this root certifies the next. */
  async introduce(next: OfflineRoot): Promise<string> {
    const { newWithOld, oldWithNew } = await signRollover(this.#root, next.#root, this.#now());
    return [next.certificate, newWithOld, oldWithNew].map(({ der }) => encodePem('CERTIFICATE', der)).join('');
  }

  /** The signed key list for a hub's request, as `root sign-keys` makes it. */
  async signKeys(request: string, change: Partial<KeyList> = {}, days = 400): Promise<string> {
    const content = parseKeyListRequest(utf8(request));
    const issuedAtSeconds = Math.floor(this.#now() / 1_000);
    const dates = { issuedAtSeconds, validUntilSeconds: issuedAtSeconds + days * 86_400 };
    const file = await signKeyList({ ...content, ...dates, ...change }, this.certificate, this.#root.signer);
    return Buffer.from(file).toString('utf8');
  }

  /** A list with the issuing CA of this PEM text. */
  async revoke(issuingPem: string): Promise<Uint8Array> {
    const [der = new Uint8Array(0)] = parsePem(issuingPem, 'CERTIFICATE');
    const nowMs = this.#now();
    const revokedAtSeconds = Math.floor(nowMs / 1_000);
    const revoked = [{ serial: parseCertificate(der).serial, revokedAtSeconds, reason: 'cACompromise' as const }];
    return signRootList(this.#root, { earlier: undefined, revoked, days: 180, nowMs });
  }
}
