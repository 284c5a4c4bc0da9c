// TPM2_PCR_Read and TPM2_PCR_Extend (TPM 2.0 Part 3, 22).
import { ByteWriter } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { hashId, type TpmHash } from '../algorithm.ts';
import { entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { encodePcrSelections, type PcrSelection, readPcrSelections } from '../pcr-selection.ts';

/** TPML_DIGEST holds eight digests, so one read gives at most as many PCRs. */
export const pcrsPerRead = 8;

export interface PcrValues {
  /** What the TPM read, which may be less than was asked for. */
  readonly selections: readonly PcrSelection[];
  readonly values: readonly Uint8Array[];
}

export function pcrRead(selections: readonly PcrSelection[]): TpmCommand<PcrValues> {
  return {
    name: 'TPM2_PCR_Read',
    code: commandCodes.pcrRead,
    handles: [],
    parameters: encodePcrSelections(selections),
    parse: (response) => {
      response.u32();
      const read = readPcrSelections(response);
      const count = response.u32();
      if (count > pcrsPerRead) throw new CoreError('tpm-structure-invalid', `${count} PCR values in one response`);
      const values: Uint8Array[] = [];
      for (let left = count; left > 0; left--) values.push(response.sized16());
      return { selections: read, values };
    },
  };
}

/** Authorization: the PCR's, which is empty. */
export function pcrExtend(pcr: number, bank: TpmHash, digest: Uint8Array): TpmCommand<undefined> {
  return {
    name: 'TPM2_PCR_Extend',
    code: commandCodes.pcrExtend,
    handles: [entityOf(pcr)],
    parameters: new ByteWriter().u32(1).u16(hashId(bank)).bytes(digest).finish(),
    parse: () => undefined,
  };
}
