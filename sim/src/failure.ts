// Why the demo cannot run here, in one line: its folder, its ports, its simulators. Bugs of the program are not turned into lines.
import { AgentError } from '@edgekeep/agent/error';
import { HubError } from '@edgekeep/hub/common/error';
import { asFolderError, worldFailureOf } from '@edgekeep/hub/common/world-failure';
import { HardwareError } from '@edgekeep/hardware/error';
import { HubRefusal, Unreachable } from '@edgekeep/cli/refusal';

/** Undefined if the environment of the demo did not fail. */
export function failureLine(error: unknown, folder: string): string | undefined {
  const named = asFolderError(folder, error);
  if (named instanceof HubError || named instanceof HardwareError || named instanceof AgentError)
    return `${named.code}: ${named.message}${advice(named.code)}`;
  if (named instanceof HubRefusal || named instanceof Unreachable) {
    const full = worldFailureOf(named);
    return full === undefined ? `${named.code}: ${named.message}` : `${folder} cannot be used: ${full}`;
  }
  return undefined;
}

function advice(code: string): string {
  if (code === 'folder-in-use') return ' (--data DIR)';
  return code === 'folder-unusable' ? '; use --data DIR for another folder' : '';
}
