// What a TPM attests to, encoded for tests: only TPMs make it.
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { TpmsAttest } from './attest.ts';
import { encodePcrSelections, type PcrSelection, readPcrSelections } from './pcr-selection.ts';

const generatedByTpm = 0xff544347;
const attestTypes = { nv: 0x8014, certify: 0x8017, quote: 0x8018, creation: 0x801a } as const;

/** TPMS_ATTEST. `parseAttest` of the result gives the same value. */
export function encodeAttest(attest: TpmsAttest): Uint8Array {
  const { clockInfo } = attest;
  const writer = new ByteWriter()
    .u32(generatedByTpm)
    .u16(attestTypes[attest.kind])
    .sized16(attest.qualifiedSigner)
    .sized16(attest.extraData)
    .u64(clockInfo.clock)
    .u32(clockInfo.resetCount)
    .u32(clockInfo.restartCount)
    .u8(clockInfo.safe ? 1 : 0)
    .u64(attest.firmwareVersion);
  switch (attest.kind) {
    case 'quote':
      return writer.bytes(encodePcrSelections(attest.selections)).sized16(attest.pcrDigest).finish();
    case 'certify':
      return writer.sized16(attest.name).sized16(attest.qualifiedName).finish();
    case 'creation':
      return writer.sized16(attest.name).sized16(attest.creationHash).finish();
    case 'nv':
      return writer.sized16(attest.indexName).u16(attest.offset).sized16(attest.contents).finish();
  }
}

/** Reads one TPML_PCR_SELECTION and nothing behind it. */
export function parsePcrSelections(bytes: Uint8Array): PcrSelection[] {
  const reader = new ByteReader(bytes, 'PCR selection');
  const selections = readPcrSelections(reader);
  reader.end();
  return selections;
}
