// The header that a TCP balancer sends before the client's first byte: PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2;
// spec/proxy-protocol.md). Version 1 is recognized so that its refusal has a name.
import { addressText } from '@edgekeep/core/canonical/network';
import { crc32c } from './crc32c.ts';

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused'; readonly reason: 'no-header' | 'version-1' | 'malformed' | 'checksum' }
  /** The balancer speaks for itself, or it does not know the client: the connection's own addresses count. */
  | { readonly kind: 'local' | 'unspecified'; readonly length: number }
  | { readonly kind: 'client'; readonly address: string; readonly port: number; readonly length: number };

/** Whether a connection begins with a header of either version, or could: the first bytes are enough. */
export function beginsAsHeader(bytes: Uint8Array): boolean {
  return startsAlike(bytes, signature) || startsAlike(bytes, firstVersion);
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const firstVersion = Buffer.from('PROXY ', 'latin1');
const FIXED_BYTES = 16;
/** Addresses and extensions. The largest that balancers send is a client's certificate. */
const REST_BYTES_MAX = 16_384;

const malformed = { kind: 'refused', reason: 'malformed' } as const;
const incomplete = { kind: 'incomplete' } as const;

/** By address family and transport: where the client's address and port are. */
const places = {
  0x11: { addressBytes: 4, family: 4, bytes: 12 },
  0x21: { addressBytes: 16, family: 6, bytes: 36 },
} as const;

/** Reads the first bytes of a connection. A header that is whole has `length` bytes; the rest is the client's. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (!startsAlike(bytes, signature)) {
    if (!startsAlike(bytes, firstVersion)) return { kind: 'refused', reason: 'no-header' };
    return bytes.length < firstVersion.length ? incomplete : { kind: 'refused', reason: 'version-1' };
  }
  if (bytes.length < FIXED_BYTES) return incomplete;
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(signature.length);
  const restBytes = bytes.readUInt16BE(14);
  const length = FIXED_BYTES + restBytes;
  if (versionAndCommand >> 4 !== 2 || restBytes > REST_BYTES_MAX) return malformed;
  if (bytes.length < length) return incomplete;
  switch (versionAndCommand & 0x0f) {
    case 0:
      // What follows is skipped, the family included.
      return { kind: 'local', length };
    case 1:
      return parseProxied(bytes.subarray(0, length), familyAndTransport);
    default:
      return malformed;
  }
}

function parseProxied(header: Buffer, familyAndTransport: number): ProxyHeader {
  const { length } = header;
  switch (familyAndTransport) {
    // An unknown family, and a socket of the balancer's own machine.
    case 0x00:
    case 0x31:
      return { kind: 'unspecified', length };
    case 0x11:
    case 0x21: {
      const { addressBytes, family, bytes } = places[familyAndTransport];
      const begin = FIXED_BYTES + bytes;
      if (length < begin) return malformed;
      const problem = problemOfExtensions(header, begin);
      if (problem !== undefined) return { kind: 'refused', reason: problem };
      const source = header.subarray(FIXED_BYTES, FIXED_BYTES + addressBytes);
      return {
        kind: 'client',
        address: addressOf(family, BigInt(`0x${source.toString('hex')}`)),
        port: header.readUInt16BE(FIXED_BYTES + 2 * addressBytes),
        length,
      };
    }
    // Datagrams are on no TCP connection, and other values must be dropped.
    default:
      return malformed;
  }
}

// ::ffff:0:0/96, RFC 4291 section 2.5.5.2: the same machine as by IPv4.
const mappedPrefix = 0xffffn;

function addressOf(family: 4 | 6, bits: bigint): string {
  if (family === 6 && bits >> 32n === mappedPrefix) return addressText({ family: 4, bits: bits & 0xffff_ffffn });
  return addressText({ family, bits });
}

const CHECKSUM = 0x03;
const CHECKSUM_BYTES = 4;

/** Type, length and value, one after the other to the end; skipped but for the checksum. */
function problemOfExtensions(header: Buffer, begin: number): 'malformed' | 'checksum' | undefined {
  let checksumAt: number | undefined;
  for (let at = begin; at < header.length;) {
    if (at + 3 > header.length) return 'malformed';
    const valueAt = at + 3;
    const valueBytes = header.readUInt16BE(at + 1);
    if (valueAt + valueBytes > header.length) return 'malformed';
    if (header[at] === CHECKSUM) {
      if (valueBytes !== CHECKSUM_BYTES || checksumAt !== undefined) return 'malformed';
      checksumAt = valueAt;
    }
    at = valueAt + valueBytes;
  }
  if (checksumAt === undefined) return undefined;
  const cleared = Buffer.from(header).fill(0, checksumAt, checksumAt + CHECKSUM_BYTES);
  return crc32c(cleared) === header.readUInt32BE(checksumAt) ? undefined : 'checksum';
}

function startsAlike(bytes: Uint8Array, expected: Buffer): boolean {
  const compared = Math.min(bytes.length, expected.length);
  return expected.subarray(0, compared).equals(bytes.subarray(0, compared));
}
