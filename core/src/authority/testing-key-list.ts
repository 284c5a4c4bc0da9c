// For tests: a root, and key lists that it signs.
import { commonNameOnly } from '../identity/distinguished-name.ts';
import { type Certificate, parseCertificate } from '../identity/certificate.ts';
import { issueCertificate } from '../identity/issue.ts';
import { rootProfile } from '../identity/profile.ts';
import { encodeSpki } from '../identity/public-key.ts';
import { sha256Hex } from '../digest.ts';
import { type Signer, signerFromKey } from '../signer.ts';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type KeyList, type KeyPurpose, type ListedKey, signKeyList, openKeyList } from './key-list.ts';
import { parseBase64url } from '../bytes.ts';
import type { KnownKeyList } from './key-list-follow.ts';

export const listedAt = 1_800_000_000;
const year = 31_536_000;

export interface TestRoot {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** A root with a new key. */
export async function testListRoot(): Promise<TestRoot> {
  const signer = signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const template = rootProfile(
    {
      spki: encodeSpki(signer.publicKey),
      serialRandom: Buffer.alloc(16, 7),
      notBeforeSeconds: listedAt - year,
      notAfterSeconds: listedAt + 20 * year,
    },
    commonNameOnly('Test root'),
  );
  return { certificate: parseCertificate(await issueCertificate(template, signer)), signer };
}

export function testListedKey(purpose: KeyPurpose, key: KeyObject, change: Partial<ListedKey> = {}): ListedKey {
  return {
    purpose,
    publicKey: signerFromKey(key).publicKey,
    origin: purpose === 'log' ? 'hub.example/audit' : undefined,
    fromSeconds: listedAt - year,
    untilSeconds: undefined,
    compromised: false,
    ...change,
  };
}

export async function testSignedList(
  root: TestRoot,
  list: Pick<KeyList, 'hub' | 'number' | 'keys'> & Partial<KeyList>,
): Promise<Uint8Array> {
  const dates = { issuedAtSeconds: listedAt, validUntilSeconds: listedAt + year };
  return signKeyList({ ...dates, ...list }, root.certificate, root.signer);
}

/** The list and its digest, as a reader knows it. */
export function testKnownList(file: Uint8Array, root: TestRoot): KnownKeyList {
  const verdict = openKeyList(file, [root.certificate]);
  if (verdict.kind === 'refused') throw new TypeError(verdict.reasons.join('; '));
  const { list }: { list: string } = JSON.parse(Buffer.from(file).toString());
  return { list: verdict.list, digest: sha256Hex(parseBase64url(list, 'list')) };
}
