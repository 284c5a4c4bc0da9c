// A DICE device in software, for tests and demonstrations: a chip with a secret, layers of firmware that certify one another as the TCG's
// DICE Layering Architecture says, and a maker that vouches for the first layer. Only the chip is simulated; its output is genuine.
import { createHash, createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FwidAlgorithm, fwidAlgorithms } from '@edgekeep/core/attest/dice/fwid';
import type { OperationalFlag } from '@edgekeep/core/attest/dice/flags';
import { aliasProfile, deviceIdProfile, middleLayerProfile } from '@edgekeep/core/attest/dice/testing-profile';
import type { TcbInfo } from '@edgekeep/core/attest/dice/tcb-info';
import { encodeTcbInfo } from '@edgekeep/core/attest/dice/testing-tcb-info';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { deriveP256Key } from '@edgekeep/core/identity/derived-key';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { type CertificateTemplate, issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { type ProfileInput, rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { aliasKeyFileName, chainFileName, type DiceHandoff } from './handoff.ts';

// Firmware has no clock: certificates begin on a fixed day and have no end.
const notBeforeSeconds = Date.UTC(2024, 0, 1) / 1_000;
const notAfterSeconds = 253_402_300_799;

/** One layer of firmware as stored in flash. */
export interface FirmwareLayer {
  readonly image: Uint8Array;
  readonly vendor: string;
  readonly model: string;
  readonly version: string;
  readonly svn: number;
  /** Operational flags of its state at start. */
  readonly flags?: readonly OperationalFlag[];
  /** Default: sha384. */
  readonly hash?: FwidAlgorithm;
}

/** The certificate of a layer, before it is signed: as it should be and as it will be. */
export type Alteration = (template: CertificateTemplate, layer: number) => CertificateTemplate;

/** A maker of chips. */
export class DiceVendor {
  readonly root: Certificate;
  readonly #key: KeyObject;

  private constructor(root: Certificate, key: KeyObject) {
    this.root = root;
    this.#key = key;
  }

  static async create(name: string): Promise<DiceVendor> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const root = await issued(rootProfile(inputFor(privateKey), commonNameOnly(name)), privateKey);
    return new DiceVendor(root, privateKey);
  }

  /** An authority below this one, with its own key: its chips carry its certificate. */
  async below(name: string): Promise<DiceVendor> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const named = { subject: commonNameOnly(name), issuer: this.root.subject };
    const certificate = await this.sign({ ...rootProfile(inputFor(privateKey), named.subject), ...named });
    return new DiceVendor(certificate, privateKey);
  }

  get rootPem(): string {
    return encodePem('CERTIFICATE', this.root.der);
  }

  /** The DeviceID certificate of a chip with this layer 0: made once, in the factory. */
  certify(deviceIdKey: KeyObject, tcbInfo: TcbInfo, alter: Alteration): Promise<Certificate> {
    return this.sign(alter(deviceIdProfile(inputFor(deviceIdKey), this.root, tcbInfo), 0));
  }

  /** Any certificate, as a factory issues it. */
  sign(template: CertificateTemplate): Promise<Certificate> {
    return issued(template, this.#key);
  }
}

/** One chip. Only its unique device secret distinguishes it from others. */
export class DiceSimulator {
  readonly #vendor: DiceVendor;
  readonly #uniqueDeviceSecret: Uint8Array;

  /** `uniqueDeviceSecret`: 32 random bytes. */
  constructor(vendor: DiceVendor, uniqueDeviceSecret: Uint8Array) {
    this.#vendor = vendor;
    this.#uniqueDeviceSecret = uniqueDeviceSecret;
  }

  /**
   * Powers on with this firmware, layer 0 first, and returns what the last layer gets. `alter` simulates a maker or a layer that issues
   * something wrong.
   */
  async boot(firmware: readonly FirmwareLayer[], alter: Alteration = (template) => template): Promise<DiceHandoff> {
    let secret = this.#uniqueDeviceSecret;
    let issuer = this.#vendor.root;
    let key: KeyObject | undefined;
    const chain: Uint8Array[] = [];
    for (const [layer, found] of firmware.entries()) {
      const tcbInfo = measured(found, layer);
      // Layering Architecture, section 6: CDI of a layer = one-way function of the secret below it and the layer's measurement.
      secret = compound(secret, tcbInfo);
      const own = deriveP256Key(secret, layer === 0 ? 'DICE simulator DeviceID' : 'DICE simulator alias');
      const profile = layer === firmware.length - 1 ? aliasProfile : middleLayerProfile;
      issuer =
        key === undefined
          ? await this.#vendor.certify(own, tcbInfo, alter)
          : await issued(alter(profile(inputFor(own), issuer, tcbInfo), layer), key);
      chain.unshift(issuer.der);
      key = own;
    }
    if (key === undefined) throw new TypeError('a device boots at least one layer');
    return { chain, aliasKey: key };
  }
}

/** Writes what an earlier boot stage would write: the folder is made, for its owner only. */
export async function writeHandoffFolder(folder: string, { chain, aliasKey }: DiceHandoff): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pem = chain.map((der) => encodePem('CERTIFICATE', der)).join('');
  await writeFile(join(folder, chainFileName), pem, { mode: 0o600 });
  const key = aliasKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(join(folder, aliasKeyFileName), key, { mode: 0o600 });
}

function measured(
  { image, vendor, model, version, svn, flags = [], hash = 'sha384' }: FirmwareLayer,
  layer: number,
): TcbInfo {
  const digest = createHash(hash).update(image).digest();
  const fwids = [{ algorithm: fwidAlgorithms[hash].oid, digest }];
  return { vendor, model, version, svn, layer, fwids, flags: { named: flags, unnamed: [] } };
}

// Over all of the TcbInfo: the same image in another state, or with another security version, is another layer.
function compound(secret: Uint8Array, tcbInfo: TcbInfo): Uint8Array {
  const identifier = createHash('sha256').update(encodeTcbInfo(tcbInfo)).digest();
  return createHmac('sha256', secret).update(identifier).digest();
}

/** The start of a profile for a key of the simulators. */
export function inputFor(key: KeyObject): ProfileInput {
  const spki = encodeSpki(createPublicKey(key));
  // A number from the key: the same key gets the same certificate.
  const serialRandom = createHash('sha256').update(spki).digest().subarray(0, 16);
  return { spki, serialRandom, notBeforeSeconds, notAfterSeconds };
}

export async function issued(template: CertificateTemplate, key: KeyObject): Promise<Certificate> {
  return parseCertificate(await issueCertificate(template, signerFromKey(key)));
}
