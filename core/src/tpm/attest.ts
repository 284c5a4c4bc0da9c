// What a TPM signs when it quotes PCRs, certifies a key, its creation or an NV index (TPM 2.0 Part 2, 10.12.12 TPMS_ATTEST).
import { ByteReader } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type PcrSelection, readPcrSelections } from './pcr-selection.ts';
import { nameHash } from './public-area.ts';

/** TPM_GENERATED_VALUE: a restricted key signs no outside data that begins with it, so a TPM made everything that does. */
const generatedByTpm = 0xff544347;
const attestTypes = { nv: 0x8014, certify: 0x8017, quote: 0x8018, creation: 0x801a } as const;

/** TPM2B_DATA and TPM2B_DIGEST hold at most the largest digest, 64 bytes, after an algorithm identifier (TPMT_HA). */
const DATA_BYTES_MAX = 66;
const DIGEST_BYTES_MAX = 64;
/** MAX_NV_BUFFER_SIZE of PC Client TPMs. */
const NV_BYTES_MAX = 2048;

export interface ClockInfo {
  /** How many milliseconds the TPM has been powered. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** False after an unorderly shutdown, until it is known that the clock does not run backwards. */
  readonly safe: boolean;
}

interface CommonAttest {
  readonly qualifiedSigner: Uint8Array;
  /** The qualifying data the caller gave. */
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
}

export interface QuoteAttest extends CommonAttest {
  readonly kind: 'quote';
  readonly selections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

export interface CertifyAttest extends CommonAttest {
  readonly kind: 'certify';
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPMS_CREATION_INFO: this TPM itself made the object of this Name. */
export interface CreationAttest extends CommonAttest {
  readonly kind: 'creation';
  readonly name: Uint8Array;
  readonly creationHash: Uint8Array;
}

/** TPMS_NV_CERTIFY_INFO: the content of an NV index from `offset` on. */
export interface NvAttest extends CommonAttest {
  readonly kind: 'nv';
  readonly indexName: Uint8Array;
  readonly offset: number;
  readonly contents: Uint8Array;
}

export type TpmsAttest = QuoteAttest | CertifyAttest | CreationAttest | NvAttest;

/**
 * Reads a TPMS_ATTEST of a quote, or of a certification of a key, a creation or an NV index; any other type, wrong magic, an ill-formed
 * name or trailing bytes throw.
 */
export function parseAttest(bytes: Uint8Array): TpmsAttest {
  const reader = new ByteReader(bytes, 'attestation');
  const magic = reader.u32();
  if (magic !== generatedByTpm) throw invalid(`magic 0x${magic.toString(16)}: not made by a TPM`);
  const type = reader.u16();
  const qualifiedSigner = readName(reader);
  const extraData = reader.sized16(DATA_BYTES_MAX);
  const clockInfo = readClockInfo(reader);
  const firmwareVersion = reader.u64();
  const common = { qualifiedSigner, extraData, clockInfo, firmwareVersion };
  const attest = readAttested(reader, type, common);
  reader.end();
  return attest;
}

function readAttested(reader: ByteReader, type: number, common: CommonAttest): TpmsAttest {
  switch (type) {
    case attestTypes.quote: {
      const selections = readPcrSelections(reader);
      return { kind: 'quote', ...common, selections, pcrDigest: reader.sized16(DIGEST_BYTES_MAX) };
    }
    case attestTypes.certify: {
      const name = readName(reader);
      return { kind: 'certify', ...common, name, qualifiedName: readName(reader) };
    }
    case attestTypes.creation: {
      const name = readName(reader);
      return { kind: 'creation', ...common, name, creationHash: reader.sized16(DIGEST_BYTES_MAX) };
    }
    case attestTypes.nv: {
      const indexName = readName(reader);
      const offset = reader.u16();
      return { kind: 'nv', ...common, indexName, offset, contents: reader.sized16(NV_BYTES_MAX) };
    }
    default:
      throw invalid(
        `type 0x${type.toString(16)}: neither a quote nor a certification of a key, a creation or an NV index`,
      );
  }
}

function readName(reader: ByteReader): Uint8Array {
  const name = reader.sized16(DATA_BYTES_MAX);
  nameHash(name);
  return name;
}

/** Reads a TPMS_CLOCK_INFO. */
export function readClockInfo(reader: ByteReader): ClockInfo {
  const clock = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  const safe = reader.u8();
  if (safe > 1) throw invalid(`safe is ${safe}, expected 0 or 1`);
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

function invalid(message: string): CoreError {
  return new CoreError('tpm-structure-invalid', `attestation: ${message}`);
}
