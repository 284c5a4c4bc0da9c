// The TPM's clock (TPM 2.0 Part 3, 29): reading it, and setting it, which only goes forward; and TPM2_Clear (24.6), which resets it.
import { ByteWriter } from '../../bytes.ts';
import { type ClockInfo, readClockInfo } from '../attest.ts';
import { entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { hierarchies } from '../public-area.ts';

const none = new Uint8Array(0);
const nothing = () => undefined;

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
    parameters: none,
    parse: (response) => {
      const time = response.u64();
      return { time, clockInfo: readClockInfo(response) };
    },
  };
}

/** Sets the clock to `clock` milliseconds, not below its present value. Authorization: the owner hierarchy. */
export function clockSet(clock: bigint): TpmCommand<undefined> {
  return {
    name: 'TPM2_ClockSet',
    code: commandCodes.clockSet,
    handles: [entityOf(hierarchies.owner)],
    parameters: new ByteWriter().u64(clock).finish(),
    parse: nothing,
  };
}

/**
 * Clock, resetCount and restartCount start over at 0, the owner's keys and NV indices are removed, the endorsement keys stay.
 * Authorization: the platform hierarchy, which anybody has who powers the TPM without firmware.
 */
export function clear(): TpmCommand<undefined> {
  return {
    name: 'TPM2_Clear',
    code: commandCodes.clear,
    handles: [entityOf(hierarchies.platform)],
    parameters: none,
    parse: nothing,
  };
}
