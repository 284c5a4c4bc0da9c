// What the doctor takes from the settings of an agent on this machine: where its TPM is, the passwords of its hierarchies, and the firmware's log.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseJson } from '@edgekeep/core/json';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { z } from 'zod';

/** The agent checks the rest. */
const schema = z.looseObject({
  rootOfTrust: z
    .looseObject({
      kind: z.string().optional(),
      address: z.string().optional(),
      endorsementPasswordFile: z.string().optional(),
      ownerPasswordFile: z.string().optional(),
    })
    .optional(),
  measuredStart: z.looseObject({ firmwareLogFile: z.string().optional() }).optional(),
});

export interface AgentTpm {
  readonly address: string | undefined;
  readonly endorsementPasswordFile: string | undefined;
  readonly ownerPasswordFile: string | undefined;
  readonly firmwareLogFile: string | undefined;
}

/** Undefined values where there is no agent.json, or it does not name them. */
export async function readAgentTpm(stateFolder: string | undefined): Promise<AgentTpm> {
  const file = stateFolder === undefined ? undefined : join(stateFolder, 'agent.json');
  const bytes = file === undefined ? undefined : await orIfMissing(readFile(file), undefined);
  const { rootOfTrust, measuredStart } = bytes === undefined ? {} : parseJson(bytes, schema, 'agent.json');
  const pathOf = (path: string | undefined) => (path === undefined ? undefined : resolve(stateFolder ?? '.', path));
  return {
    address: rootOfTrust?.address,
    endorsementPasswordFile: pathOf(rootOfTrust?.endorsementPasswordFile),
    ownerPasswordFile: pathOf(rootOfTrust?.ownerPasswordFile),
    firmwareLogFile: pathOf(measuredStart?.firmwareLogFile),
  };
}
