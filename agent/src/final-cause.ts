// Causes of this device's own (docs/agent-causes.md): said by their codes and not as a hub that cannot be reached; and those that no further attempt
// heals, after which the agent asks its hub for nothing more.
import { CoreError } from '@edgekeep/core/error';
import { HardwareError } from '@edgekeep/hardware/error';
import { AgentError } from './error.ts';
import { type AgentEvent, failureEvent } from './event.ts';

export function isFinal(error: unknown): error is HardwareError | AgentError {
  return (error instanceof HardwareError && !error.heals) || (error instanceof AgentError && error.ofMachine);
}

/** Why there is no connection, as an event, and as text that is the same for the same cause. */
export function connectionFailure(error: unknown): { readonly text: string; readonly event: AgentEvent } {
  const event = failureEvent(error instanceof HardwareError ? 'root-of-trust' : 'connection', error);
  const { code, message: why } = event;
  const text = `${code}: ${why}`;
  if (isFinal(error)) return { text, event: { kind: 'stopped', code, why } };
  const isOwn = error instanceof HardwareError || error instanceof CoreError || code === 'unexpected';
  return { text, event: isOwn ? event : { kind: unreachableKind(code), code, why } };
}

/** Nobody answered, the proxy on the way did not let this device through, or somebody else answered. */
function unreachableKind(code: string): 'hub-unreachable' | 'tls-intercepted' | 'proxy-failed' {
  if (code.startsWith('proxy-')) return 'proxy-failed';
  return code === 'tls-intercepted' || code === 'captive-portal' ? 'tls-intercepted' : 'hub-unreachable';
}
