// TPM2_Startup, TPM2_Shutdown (TPM 2.0 Part 3, 9), TPM2_GetRandom (16.1), TPM2_FlushContext (28.4).
import { ByteWriter } from '../../bytes.ts';
import type { TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';

const nothing = () => undefined;

/** TPM_SU. */
export type StartupType = 'clear' | 'state';
const startupTypes: Readonly<Record<StartupType, number>> = { clear: 0, state: 1 };

export function shutdown(type: StartupType): TpmCommand<undefined> {
  const parameters = new ByteWriter().u16(startupTypes[type]).finish();
  return { name: 'TPM2_Shutdown', code: commandCodes.shutdown, handles: [], parameters, parse: nothing };
}

/** A TPM may return fewer bytes than requested. */
export function getRandom(length: number): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_GetRandom',
    code: commandCodes.getRandom,
    handles: [],
    parameters: new ByteWriter().u16(length).finish(),
    parse: (response) => response.sized16(length),
  };
}

/** Unloads a transient object or ends a session; the handle is a parameter, so that it needs no authorization. */
export function flushContext(handle: number): TpmCommand<undefined> {
  const parameters = new ByteWriter().u32(handle).finish();
  return { name: 'TPM2_FlushContext', code: commandCodes.flushContext, handles: [], parameters, parse: nothing };
}
