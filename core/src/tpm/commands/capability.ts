// TPM2_GetCapability (TPM 2.0 Part 3, 30.2), for the three groups that this product reads: handles, fixed properties, PCR banks.
import { type ByteReader, ByteWriter } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import type { TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';

const capabilities = { handles: 1, pcrs: 5, properties: 6 } as const;

/** A response of 4096 bytes has no room for more 4-byte handles than this. */
const ENTRIES_MAX = 1024;

/** First handle of each range (Part 2, 7.2 TPM_HT). */
export const handleRanges = {
  nvIndex: 0x01000000,
  loadedSession: 0x02000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

/** TPM_PT values (Part 2, 6.13). */
export const properties = {
  manufacturer: 0x105,
  vendorString1: 0x106,
  firmwareVersion1: 0x10b,
  firmwareVersion2: 0x10c,
  permanent: 0x200,
  startupClear: 0x201,
  nvCountersAvailable: 0x20b,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutIntervalSeconds: 0x210,
} as const;

/** TPMA_PERMANENT (Part 2, 8.6). */
export const permanentBits = { ownerAuthSet: 1 << 0, endorsementAuthSet: 1 << 1, inLockout: 1 << 9 } as const;
/** TPMA_STARTUP_CLEAR (Part 2, 8.7): whether the owner's and the endorsement hierarchy are enabled. */
export const startupClearBits = { shEnable: 1 << 1, ehEnable: 1 << 2 } as const;

/** TPM_NUM_PCR_BANKS is at most 16 in the reference code. */
const BANKS_MAX = 16;

/** A bank of PCRs, by the number of its hash (TPM_ALG_ID); one that is not allocated has no PCRs, or is left out. */
export interface AllocatedBank {
  readonly algorithm: number;
  readonly pcrCount: number;
}

/** The PCR banks as this TPM has allocated them; also those of a hash that this product does not know. */
export function getBanks(): TpmCommand<readonly AllocatedBank[]> {
  return getCapability(capabilities.pcrs, 0, BANKS_MAX, (response) => {
    const banks: AllocatedBank[] = [];
    for (let left = readCount(response); left > 0; left--) {
      const algorithm = response.u16();
      const bitmap = response.bytes(response.u8());
      const pcrCount = [...bitmap].reduce((sum, octet) => sum + octet.toString(2).replaceAll('0', '').length, 0);
      banks.push({ algorithm, pcrCount });
    }
    return banks;
  });
}

/** The handles in use from `first` on, of the same range. */
export function getHandles(first: number): TpmCommand<readonly number[]> {
  return getCapability(capabilities.handles, first, ENTRIES_MAX, (response) => {
    const handles: number[] = [];
    for (let left = readCount(response); left > 0; left--) handles.push(response.u32());
    return handles;
  });
}

/** Fixed properties from `first` on, by number. */
export function getProperties(first: number, count: number): TpmCommand<ReadonlyMap<number, number>> {
  return getCapability(capabilities.properties, first, count, (response) => {
    const found = new Map<number, number>();
    for (let left = readCount(response); left > 0; left--) {
      const property = response.u32();
      found.set(property, response.u32());
    }
    return found;
  });
}

function getCapability<Response>(
  capability: number,
  property: number,
  count: number,
  parse: (response: ByteReader) => Response,
): TpmCommand<Response> {
  return {
    name: 'TPM2_GetCapability',
    code: commandCodes.getCapability,
    handles: [],
    parameters: new ByteWriter().u32(capability).u32(property).u32(count).finish(),
    parse: (response) => {
      response.u8();
      const answered = response.u32();
      if (answered !== capability) {
        throw new CoreError('tpm-structure-invalid', `capability ${answered} came for capability ${capability}`);
      }
      return parse(response);
    },
  };
}

function readCount(response: ByteReader): number {
  const count = response.u32();
  if (count > ENTRIES_MAX) throw new CoreError('tpm-structure-invalid', `a capability list of ${count} entries`);
  return count;
}
