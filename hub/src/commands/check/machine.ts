// Checks what the hub needs from its machine: two ports, free disk space, and the program that opens its keys.
import { accessSync, constants, existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { type Endpoint, endpointText } from '@edgekeep/core/canonical/endpoint';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { HubError } from '../../common/error.ts';
import type { HubSettings } from '../../settings.ts';
import { type ListenerName, portError, tryPort } from '../../doors/http/port.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { messageOf } from '@edgekeep/core/message-of';

// The log grows with the fleet, and a hub that cannot write serves nobody.
const FREE_BYTES_MIN = 1_073_741_824;

export async function checkPorts(settings: HubSettings): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const who of ['device', 'operator', 'estForGateways'] as const) {
    if (who === 'estForGateways' && !settings.estForGateways.enabled) continue;
    const problem = await portProblem(who, settings[who]);
    const place = endpointText(settings[who]);
    if (problem === undefined) findings.push(ok(`${who} port`, place));
    else findings.push(warning(`${who} port`, problem, 'this is not a problem if it is this hub'));
  }
  return findings;
}

async function portProblem(who: ListenerName, place: Endpoint): Promise<string | undefined> {
  try {
    await tryPort(place);
    return undefined;
  } catch (error) {
    const known = portError(who, place, error);
    if (!(known instanceof HubError) && !(error instanceof Error && 'code' in error)) throw error;
    return messageOf(known);
  }
}

export function checkUnlockProgram({ unlockProgram }: HubSettings): Finding {
  const subject = 'unlock program';
  const [program] = unlockProgram;
  if (program === undefined) return ok(subject, 'none');
  if (!isAbsolute(program))
    return failed(subject, `${program} is not an absolute path`, 'name it by its absolute path');
  if (!existsSync(program)) return failed(subject, `no ${program}`, 'install it, or correct the setting unlockProgram');
  const why = othersMayWrite(program);
  if (why !== undefined)
    return failed(subject, `${program}: ${why}`, 'the hub runs no program that other users can change');
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    return failed(subject, `${program} cannot be run: ${messageOf(error)}`, `chmod u+x ${program}`);
  }
  return ok(subject, program);
}

export async function checkDisk(folder: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const shown = `${(free / FREE_BYTES_MIN).toFixed(1)} GiB free`;
    if (free >= FREE_BYTES_MIN) return ok('disk', shown);
    return warning('disk', shown, 'free some space: a full disk stops the hub');
  } catch (error) {
    return failed('disk', messageOf(error), 'does the data folder exist?');
  }
}
