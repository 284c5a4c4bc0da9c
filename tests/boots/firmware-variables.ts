// Edits the variables of OVMF's firmware in a file (EDK II, authenticated variable store): Secure Boot on or off, keys of our own, entries of
// dbx. On a real PC the firmware's settings do this.
import { concat } from '@edgekeep/core/bytes';

const guid = {
  store: 'aaf32c78-947b-439a-a180-2e144ec37792',
  global: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
  imageSecurity: 'd719b2cb-3d3a-4596-a3bc-dad00e67656f',
  secureBootEnable: 'f0a30bc7-af08-4556-99c4-001009c93a44',
  customMode: 'c076ec0c-7028-4399-a072-71ee5c448b9f',
  x509: 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072',
  sha256: 'c1c41626-504c-4092-aca9-41f936934328',
  owner: '6d2a0d3e-3c39-4a0e-9f5c-000000000001',
} as const;

const attributes = { bootOnly: 3, signed: 0x27 } as const;
const VARIABLE_HEADER_LENGTH = 60;
const STORE_HEADER_LENGTH = 28;
const inUse = 0x3f;

interface Variable {
  readonly name: string;
  readonly vendor: string;
  readonly attributes: number;
  readonly data: Uint8Array;
  /** 16 octets; Secure Boot's variables have one. */
  readonly time: Uint8Array;
}

export interface VariableChanges {
  readonly secureBoot?: boolean;
  /** DER certificates; each replaces what the variable has. */
  readonly platformKey?: Uint8Array;
  readonly keyExchangeKey?: Uint8Array;
  readonly allowed?: Uint8Array;
  /** SHA-256 digests that dbx has besides. */
  readonly forbidden?: readonly Uint8Array[];
}

/** The variable file with these changes. Throws when it is none of OVMF's. */
export function withVariables(file: Uint8Array, changes: VariableChanges): Uint8Array {
  const store = Buffer.from(file).indexOf(Buffer.from(guidBytes(guid.store)));
  if (store === -1) throw new Error('no authenticated variable store in this file');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = store + view.getUint32(store + 16, true);
  const start = aligned(store + STORE_HEADER_LENGTH);
  const variables = changed(readVariables(file.subarray(start, end)), changes);
  const written = concat(...variables.map(encodeVariable));
  if (start + written.length > end) throw new Error('the variables do not fit into the store');
  const copy = Uint8Array.from(file);
  copy.fill(0xff, start, end);
  copy.set(written, start);
  return copy;
}

function readVariables(bytes: Uint8Array): readonly Variable[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const variables: Variable[] = [];
  let offset = 0;
  while (offset + VARIABLE_HEADER_LENGTH < bytes.length && view.getUint16(offset, true) === 0x55aa) {
    const nameLength = view.getUint32(offset + 36, true);
    const dataLength = view.getUint32(offset + 40, true);
    const name = offset + VARIABLE_HEADER_LENGTH;
    const data = name + nameLength;
    if (bytes[offset + 2] === inUse) {
      variables.push({
        name: Buffer.from(bytes.subarray(name, data - 2)).toString('utf16le'),
        vendor: Buffer.from(bytes.subarray(offset + 44, offset + 60)).toString('hex'),
        attributes: view.getUint32(offset + 4, true),
        time: bytes.slice(offset + 16, offset + 32),
        data: bytes.slice(data, data + dataLength),
      });
    }
    offset = aligned(data + dataLength);
  }
  return variables;
}

function changed(variables: readonly Variable[], changes: VariableChanges): readonly Variable[] {
  const next = [...variables];
  const set = (name: string, vendor: string, kind: number, data: Uint8Array) => {
    const hex = Buffer.from(guidBytes(vendor)).toString('hex');
    const at = next.findIndex((each) => each.name === name && each.vendor === hex);
    const variable = {
      name,
      vendor: hex,
      attributes: kind,
      time: kind === attributes.signed ? signedAt : noTime,
      data,
    };
    if (at === -1) next.push(variable);
    else next[at] = variable;
  };
  const { secureBoot, platformKey, keyExchangeKey, allowed, forbidden = [] } = changes;
  const enable = (on: boolean) =>
    set('SecureBootEnable', guid.secureBootEnable, attributes.bootOnly, Uint8Array.of(on ? 1 : 0));
  if (keyExchangeKey) set('KEK', guid.global, attributes.signed, signatureList(guid.x509, [keyExchangeKey]));
  if (allowed) set('db', guid.imageSecurity, attributes.signed, signatureList(guid.x509, [allowed]));
  if (platformKey) {
    set('PK', guid.global, attributes.signed, signatureList(guid.x509, [platformKey]));
    set('CustomMode', guid.customMode, attributes.bootOnly, Uint8Array.of(0));
    enable(true);
  }
  if (forbidden.length > 0) {
    const known = next.find(({ name }) => name === 'dbx')?.data ?? new Uint8Array(0);
    set('dbx', guid.imageSecurity, attributes.signed, concat(known, signatureList(guid.sha256, forbidden)));
  }
  if (secureBoot !== undefined) enable(secureBoot);
  return next;
}

// EFI_TIME: 2026-01-01.
const signedAt = Uint8Array.of(0xea, 0x07, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const noTime = new Uint8Array(16);

function signatureList(type: string, entries: readonly Uint8Array[]): Uint8Array {
  const size = 16 + (entries[0]?.length ?? 0);
  const header = concat(guidBytes(type), u32(STORE_HEADER_LENGTH + size * entries.length), u32(0), u32(size));
  return concat(header, ...entries.map((entry) => concat(guidBytes(guid.owner), entry)));
}

function encodeVariable({ name, vendor, attributes: kind, time, data }: Variable): Uint8Array {
  const text = Buffer.from(`${name}\0`, 'utf16le');
  const head = concat(Uint8Array.of(0xaa, 0x55, inUse, 0), u32(kind), new Uint8Array(8), time, u32(0));
  const record = concat(head, u32(text.length), u32(data.length), Buffer.from(vendor, 'hex'), text, data);
  return concat(record, new Uint8Array(aligned(record.length) - record.length).fill(0xff));
}

function guidBytes(text: string): Uint8Array {
  const [a = '', b = '', c = '', ...rest] = text.split('-');
  const turned = [a, b, c].map((part) => Buffer.from(part, 'hex').toReversed());
  return concat(...turned, Buffer.from(rest.join(''), 'hex'));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function aligned(offset: number): number {
  return (offset + 3) & ~3;
}
