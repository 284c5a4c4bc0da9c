// EFI signature lists and signature data (UEFI 2.10, section 32.4.1): what PK, KEK, db and dbx hold, and which of their certificates let an
// image run.
import { ByteReader } from '../../bytes.ts';
import { counted } from '../../counted.ts';
import { CoreError } from '../../error.ts';
import { parseForeignCertificate } from '../../identity/certificate.ts';
import { attributeText, nameText } from '../../identity/distinguished-name.ts';
import { guidText } from './printable.ts';

const x509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
const sha256 = 'c1c41626-504c-4092-aca9-41f936934328';
const commonName = '2.5.4.3';

export interface Signature {
  /** A GUID. */
  readonly type: string;
  /** A certificate, a hash, or another thing by type. */
  readonly data: Uint8Array;
}

/** All entries of signature lists, in order. Throws CoreError for something else than signature lists. */
export function signaturesIn(bytes: Uint8Array): readonly Signature[] {
  const reader = new ByteReader(bytes, 'signature lists');
  const found: Signature[] = [];
  while (reader.remaining > 0) {
    const type = guidText(reader.bytes(16));
    const listSize = reader.u32(true);
    const headerSize = reader.u32(true);
    const size = reader.u32(true);
    const list = new ByteReader(reader.bytes(listSize - 28), 'signature list');
    list.bytes(headerSize);
    if (size < 16) throw new CoreError('event-log-invalid', `signature list: signatures of ${size} bytes`);
    // The owner comes first.
    while (list.remaining > 0) found.push({ type, data: list.bytes(size).subarray(16) });
  }
  return found;
}

/** `2 certificates (CN, CN)`, `431 hashes`, `empty`. Throws CoreError for something else than signature lists. */
export function signatureListsText(bytes: Uint8Array): string {
  const signatures = signaturesIn(bytes);
  const names = signatures.filter(({ type }) => type === x509).map(({ data }) => certificateText(data));
  const hashes = signatures.filter(({ type }) => type === sha256).length;
  const others = signatures.length - names.length - hashes;
  const parts = [
    names.length > 0 ? `${counted(names.length, 'certificate')} (${names.join(', ')})` : '',
    hashes > 0 ? counted(hashes, 'hash', 'hashes') : '',
    others > 0 ? counted(others, 'entry', 'entries') : '',
  ];
  return parts.filter((part) => part !== '').join(', ') || 'empty';
}

/** One EFI_SIGNATURE_DATA: an owner, then a certificate or a hash. */
export function signatureDataText(bytes: Uint8Array): string {
  const data = bytes.subarray(16);
  return data.length === 32 ? 'by hash' : certificateText(data);
}

function certificateText(der: Uint8Array): string {
  try {
    const { subject } = parseForeignCertificate(der);
    return attributeText(subject, commonName) ?? nameText(subject);
  } catch (error) {
    // For people only: a certificate that cannot be read is still one.
    if (!(error instanceof CoreError)) throw error;
    return `certificate of ${der.length} bytes`;
  }
}
