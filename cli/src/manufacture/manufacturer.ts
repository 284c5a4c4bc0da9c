// A manufacturer's folder (spec/manufacture.md, "Issuing"): its authorities, the place of its issuing key, and what was issued.
import { makeFolder } from '@edgekeep/host/make-folder';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { encodeName } from '@edgekeep/core/identity/distinguished-name';
import { manufacturerProfile } from '@edgekeep/core/identity/idevid';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { attributeOid } from '@edgekeep/core/identity/oid';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parseJson } from '@edgekeep/core/json';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { tokenSigner } from '@edgekeep/hardware/pkcs11/token-signer';
import { z } from 'zod';
import { readBounded, readSecretFile } from '../bounded-file.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';

/** Lines run for years; factory clocks are not always right. */
const clockSkewSeconds = 300;
const SETTINGS_BYTES_MAX = 16 * 1024;
const oid = z.string().regex(/^[012](\.(0|[1-9]\d{0,38}))+$/);

const tokenSchema = z.strictObject({
  module: z.string(),
  token: z.string().optional(),
  slot: z.int().min(0).optional(),
  pinFile: z.string(),
  keyLabel: z.string().min(1).max(64),
});
/** The place of the issuing key when it is not a file. */
export type IssuingToken = z.infer<typeof tokenSchema>;

const settingsSchema = z.strictObject({
  type: z.literal('edgekeep-manufacturer/v1'),
  organization: z.string().min(1).max(64),
  /** Object identifier of the kind of hardware, for lines that name no other. */
  hardwareType: oid,
  issuingToken: tokenSchema.optional(),
});
export const hardwareTypeSchema = oid;

export interface Manufacturer {
  readonly folder: string;
  readonly organization: string;
  readonly hardwareType: string;
  readonly issuing: Certificate;
  readonly signer: Signer;
}

export interface ManufacturerOrder {
  readonly folder: string;
  /** Gets the root's key, to be taken offline. */
  readonly rootFolder: string;
  readonly organization: string;
  readonly hardwareType: string;
  readonly issuingToken?: IssuingToken | undefined;
  readonly nowSeconds: number;
}

/** Makes root and issuing authority. Replaces nothing: throws `EEXIST` with the name of the file. */
export async function createManufacturer(order: ManufacturerOrder): Promise<{ readonly root: Certificate }> {
  const { folder, rootFolder, organization, hardwareType, issuingToken, nowSeconds } = order;
  for (const place of [folder, rootFolder, join(folder, 'issued'), join(folder, 'keys')])
    await makeFolder(place, { mode: 0o700 });
  const place = (name: string) => join(folder, name);
  const period = (key: KeyObject) => ({
    spki: encodeSpki(key),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - clockSkewSeconds,
  });
  const name = (text: string) =>
    encodeName([
      { oid: attributeOid.organization, text: organization },
      { oid: attributeOid.commonName, text: `${organization} ${text}` },
    ]);
  const rootKey = newKey();
  const rootSigner = signerFromKey(rootKey);
  const rootTemplate = manufacturerProfile(period(rootSigner.publicKey), name('device root'));
  const root = parseCertificate(await issueCertificate(rootTemplate, rootSigner));
  await writeNewFile(join(rootFolder, 'manufacturer-root-key.pem'), pemOf(rootKey));
  const publicKey = await newIssuingKey(place('issuing-key.pem'), issuingToken);
  const template = manufacturerProfile(period(publicKey), name('device issuing CA'), root);
  await writeNewFile(place('root.pem'), encodePem('CERTIFICATE', root.der));
  await writeNewFile(place('issuing.pem'), encodePem('CERTIFICATE', await issueCertificate(template, rootSigner)));
  const settings = { type: 'edgekeep-manufacturer/v1', organization, hardwareType, issuingToken };
  // Last: its presence means that the folder is complete.
  await writeNewFile(place('manufacturer.json'), `${JSON.stringify(settings, null, 2)}\n`);
  return { root };
}

/** Opens the folder with its issuing key. Throws `key-invalid` when key and certificate do not match. */
export async function openManufacturer(folder: string): Promise<Manufacturer> {
  const place = (name: string) => join(folder, name);
  const text = await readBounded(place('manufacturer.json'), SETTINGS_BYTES_MAX);
  const { organization, hardwareType, issuingToken } = parseJson(text, settingsSchema, 'manufacturer.json');
  const [der] = parsePem(await readFile(place('issuing.pem'), 'utf8'), 'CERTIFICATE');
  if (der === undefined) throw new CoreError('certificate-invalid', 'issuing.pem holds no certificate');
  const issuing = parseCertificate(der);
  const signer =
    issuingToken === undefined
      ? signerFromKey(createPrivateKey(Buffer.from(await readSecretFile(place('issuing-key.pem'), SETTINGS_BYTES_MAX))))
      : await openToken(issuingToken);
  if (!signer.publicKey.equals(publicKeyOf(issuing)))
    throw new CoreError('key-invalid', 'the issuing key does not match issuing.pem');
  return { folder: resolve(folder), organization, hardwareType, issuing, signer };
}

/** A name in the arc that anybody may use (ITU-T X.667): unique, and not registered. */
export function ownHardwareType(): string {
  return `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`;
}

async function newIssuingKey(path: string, token: IssuingToken | undefined): Promise<KeyObject> {
  if (token !== undefined) return (await openToken(token, true)).publicKey;
  const key = newKey();
  await writeNewFile(path, pemOf(key));
  return signerFromKey(key).publicKey;
}

async function openToken({ module, token, slot, pinFile, keyLabel }: IssuingToken, make = false): Promise<Signer> {
  const signer = await tokenSigner({ module, token: { label: token, slot }, pinFile }, keyLabel, { make });
  if (signer !== undefined) return signer;
  throw new CoreError('key-invalid', `the token holds no key ${keyLabel}: does it belong to this manufacturer?`);
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
