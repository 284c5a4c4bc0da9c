// Setting the TPM's clock (TPM 2.0 Part 3, 29), which only goes forward; and TPM2_Clear (24.6), which resets it.
import { ByteWriter } from '../../bytes.ts';
import { entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { hierarchies } from '../public-area.ts';

const none = new Uint8Array(0);
const nothing = () => undefined;

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
