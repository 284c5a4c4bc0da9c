// The layout of a FLOE file (c2sp.org/FLOE, "Parameters" and "FLOE Ciphertext Layout"): ten bytes of parameters, an IV and a tag, then
// segments of one length, the last of which may be shorter. Only the segment length can vary.
import { ByteReader, ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';

const aeadId = 0; // AES-256-GCM
const kdfId = 0; // HKDF-Expand with SHA-384
const parametersLength = 10;

export const floeKeyLength = 32;
export const floeIvLength = 32;
export const floeHeaderTagLength = 32;
export const floeHeaderLength = parametersLength + floeIvLength + floeHeaderTagLength;

/** A segment begins with its length field and its AEAD IV, and ends with its AEAD tag. */
export const segmentPrefixLength = 4 + 12;
export const segmentTagLength = 16;
export const segmentOverhead = segmentPrefixLength + segmentTagLength;

/** The length field of every segment but the final one. */
export const innerSegmentMark = 0xffffffff;

/** Segment lengths count the whole encrypted segment. At the minimum, a segment carries one byte. */
export const SEGMENT_LENGTH_MIN = segmentOverhead + 1;
/** One less than the mark of an inner segment; otherwise a full final segment would look like an inner one. */
export const SEGMENT_LENGTH_MAX = innerSegmentMark - 1;
export const segmentLengthDefault = 2 ** 20;

/** AEAD_MAX_SEGMENTS. */
export const SEGMENTS_MAX = 2 ** 40;

/** The positions of all parts in a file of a known length. Lengths are in bytes; positions count segments from 0. */
export interface FloeLayout {
  readonly segmentLength: number;
  readonly segments: number;
  /** The length of the final encrypted segment. */
  readonly finalSegmentLength: number;
  readonly plaintextLength: number;
  readonly ciphertextLength: number;
}

/** PARAM_ENCODE. Throws `sealed-model-invalid` for a segment length outside the limits. */
export function encodeParameters(segmentLength: number): Uint8Array {
  assertSegmentLength(segmentLength);
  return new ByteWriter().u8(aeadId).u8(kdfId).u32(segmentLength).u32(floeIvLength).finish();
}

/** Reads the segment length from an unauthenticated header. Throws `sealed-model-invalid` for anything but the one known suite. */
export function parseParameters(header: Uint8Array): number {
  if (header.length !== floeHeaderLength) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: a header has ${floeHeaderLength} bytes, found ${header.length}`,
    );
  }
  const reader = new ByteReader(header, 'sealed file header');
  const aead = reader.u8();
  const kdf = reader.u8();
  const segmentLength = reader.u32();
  const ivLength = reader.u32();
  if (aead !== aeadId || kdf !== kdfId || ivLength !== floeIvLength) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: expected FLOE with AEAD 0, KDF 0 and a 32-byte IV, found AEAD ${aead}, KDF ${kdf}, IV of ${ivLength} bytes`,
    );
  }
  assertSegmentLength(segmentLength);
  return segmentLength;
}

/** The layout of a plaintext of this length: the minimum number of segments, at least one. */
export function layoutOfPlaintext(plaintextLength: number, segmentLength: number): FloeLayout {
  assertSegmentLength(segmentLength);
  assertLength(plaintextLength);
  const perSegment = segmentLength - segmentOverhead;
  const segments = Math.max(1, Math.ceil(plaintextLength / perSegment));
  return layout(floeHeaderLength + plaintextLength + segments * segmentOverhead, segmentLength, segments);
}

/**
 * The only possible layout of a file of this length. Throws `sealed-model-invalid` when there is none: the file was cut or is no FLOE file.
 */
export function layoutOfCiphertext(ciphertextLength: number, segmentLength: number): FloeLayout {
  assertSegmentLength(segmentLength);
  assertLength(ciphertextLength);
  const segments = Math.ceil((ciphertextLength - floeHeaderLength) / segmentLength);
  return layout(ciphertextLength, segmentLength, segments);
}

/** Where segment `position` begins, and how long it is. */
export function segmentRange(of: FloeLayout, position: number): { readonly offset: number; readonly length: number } {
  const length = position === of.segments - 1 ? of.finalSegmentLength : of.segmentLength;
  return { offset: floeHeaderLength + position * of.segmentLength, length };
}

function layout(ciphertextLength: number, segmentLength: number, segments: number): FloeLayout {
  const finalSegmentLength = ciphertextLength - floeHeaderLength - (segments - 1) * segmentLength;
  if (segments < 1 || finalSegmentLength < segmentOverhead) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: ${ciphertextLength} bytes do not end with a whole segment: it was cut short`,
    );
  }
  if (segments > SEGMENTS_MAX) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: ${segments} segments, at most ${SEGMENTS_MAX} are allowed`,
    );
  }
  const plaintextLength = ciphertextLength - floeHeaderLength - segments * segmentOverhead;
  return { segmentLength, segments, finalSegmentLength, plaintextLength, ciphertextLength };
}

function assertSegmentLength(length: number): void {
  if (!Number.isSafeInteger(length) || length < SEGMENT_LENGTH_MIN || length > SEGMENT_LENGTH_MAX) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: a segment length of ${length} bytes; it must lie between ${SEGMENT_LENGTH_MIN} and ${SEGMENT_LENGTH_MAX}`,
    );
  }
}

function assertLength(length: number): void {
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new CoreError('sealed-model-invalid', `sealed file: ${length} is not a length in bytes`);
  }
}
