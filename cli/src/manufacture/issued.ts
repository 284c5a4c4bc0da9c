// What a manufacturer has issued, one file for each serial number and for each key: this prevents a second IDevID for a serial number,
// after any interruption.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import {
  elementKeyProfile,
  type ElementKeyUsage,
  type IdevidSubject,
  idevidProfile,
} from '@edgekeep/core/identity/idevid';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { writeFileOnce } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import type { Manufacturer } from './manufacturer.ts';

export type Issued =
  | {
      readonly kind: 'issued';
      /** DER: the IDevID, then the issuing authority. */
      readonly chain: readonly [Uint8Array, Uint8Array];
      /** False when this serial number had its IDevID before. */
      readonly fresh: boolean;
    }
  | { readonly kind: 'refused'; readonly code: 'serial-taken' | 'key-taken'; readonly message: string };

export interface IssueOrder extends Omit<IdevidSubject, 'organization'> {
  /** DER SubjectPublicKeyInfo of a key with proven possession. */
  readonly spki: Uint8Array;
  readonly nowSeconds: number;
}

/** The IDevID of this serial number and key: the existing one, or a new one, which is on disk before it is returned. */
export async function issueOnce(manufacturer: Manufacturer, order: IssueOrder): Promise<Issued> {
  const { folder, issuing, signer, organization } = manufacturer;
  const { spki, nowSeconds, ...subject } = order;
  // X.520 compares serial numbers without case.
  const folded = order.serialNumber.toLowerCase();
  const record = join(folder, 'issued', `${folded}.pem`);
  const known = await recorded(manufacturer, record, order);
  if (known !== undefined) return known;

  const claim = join(folder, 'keys', createHash('sha256').update(spki).digest('hex'));
  const claimed = await writeFileOnce(claim, `${folded}\n`);
  const owner = claimed ? folded : (await readFile(claim, 'utf8')).trim();
  if (owner !== folded) {
    return refused(
      'key-taken',
      `the key in this hardware has the IDevID of ${owner}: is this the device with that number?`,
    );
  }
  const input = { spki, serialRandom: randomBytes(16), notBeforeSeconds: nowSeconds };
  const der = await issueCertificate(idevidProfile(input, issuing, { ...subject, organization }), signer);
  if (await writeFileOnce(record, encodePem('CERTIFICATE', der)))
    return { kind: 'issued', chain: [der, issuing.der], fresh: true };
  // Another program was first.
  const other = await recorded(manufacturer, record, order);
  if (other?.kind === 'refused' && claimed) await rm(claim);
  return other ?? refused('serial-taken', `${order.serialNumber} was issued in the meantime`);
}

/** The certificates of the other keys in the device's token, for the same device as the IDevID. Written down nowhere: each is for one key. */
export async function issueBeside(
  { issuing, signer, organization }: Manufacturer,
  { nowSeconds, ...subject }: Omit<IssueOrder, 'spki'>,
  keys: readonly { readonly spki: Uint8Array; readonly usage: ElementKeyUsage }[],
): Promise<readonly Uint8Array[]> {
  const certificates: Uint8Array[] = [];
  for (const { spki, usage } of keys) {
    const input = { spki, serialRandom: randomBytes(16), notBeforeSeconds: nowSeconds };
    certificates.push(
      await issueCertificate(elementKeyProfile(input, issuing, { ...subject, organization }, usage), signer),
    );
  }
  return certificates;
}

async function recorded(
  { issuing }: Manufacturer,
  path: string,
  { serialNumber, spki }: IssueOrder,
): Promise<Issued | undefined> {
  const pem = await orIfMissing(readFile(path, 'utf8'), undefined);
  if (pem === undefined) return undefined;
  const [der] = parsePem(pem, 'CERTIFICATE');
  if (der !== undefined && equalBytes(parseCertificate(der).spki, spki))
    return { kind: 'issued', chain: [der, issuing.der], fresh: false };
  return refused('serial-taken', `${serialNumber} has an IDevID for another key: is this the device with that number?`);
}

function refused(code: 'serial-taken' | 'key-taken', message: string): Issued {
  return { kind: 'refused', code, message };
}
