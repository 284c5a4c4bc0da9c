// TPM2_ReadClock (TPM 2.0 Part 3, 29.1).
import { type ClockInfo, readClockInfo } from '../attest.ts';
import type { TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';

/** TPMS_TIME_INFO (Part 2, 10.11.2). */
export interface TimeInfo {
  /** Milliseconds since the TPM was last powered on. */
  readonly time: bigint;
  readonly clockInfo: ClockInfo;
}

export function readClock(): TpmCommand<TimeInfo> {
  return {
    name: 'TPM2_ReadClock',
    code: commandCodes.readClock,
    handles: [],
    parameters: new Uint8Array(0),
    parse: (response) => {
      const time = response.u64();
      return { time, clockInfo: readClockInfo(response) };
    },
  };
}
