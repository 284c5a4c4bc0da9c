// The fault when a model cannot be used here, in the words of the closed lists (spec/agent.md, "Failures"): every thrown error, by its kind
// and its step. From the step `key` on, a key was released in vain, so a fault that would repeat is not tried again.
import { messageOf } from '@edgekeep/core/message-of';
import { CoreError } from '@edgekeep/core/error';
import { HardwareError } from '@edgekeep/hardware/error';
import { HostError } from '@edgekeep/host/error';
import { WireError } from '@edgekeep/wire/error';
import {
  FAULT_MESSAGE_CHARACTERS_MAX,
  type ModelFaultCode,
  modelFaultCodes,
  type ModelFaultPlace,
} from '@edgekeep/wire/api/model-report';
import { AgentError } from '../error.ts';

export interface ModelFault {
  readonly code: ModelFaultCode;
  readonly place: ModelFaultPlace;
  readonly message: string;
}

// The machine lacks something, or the model is not for it: the next key would be wasted as well.
const lasting: ReadonlySet<ModelFaultCode> = new Set([
  'model-unsupported',
  'memory-short',
  'shared-memory-short',
  'shared-memory-missing',
  'descriptors-short',
  'temporary-folder-unusable',
]);
/** Any other fault that wasted this many keys in a row counts as permanent. */
const ATTEMPTS_MAX = 3;
// An error's cause, its cause's cause, and so on.
const CAUSES_MAX = 5;

export function faultOf(error: unknown, place: ModelFaultPlace): ModelFault {
  const text = messageOf(error);
  return {
    code: codeOf(error, place),
    place,
    message: Array.from(text).slice(0, FAULT_MESSAGE_CHARACTERS_MAX).join(''),
  };
}

/** Whether it wasted a key. */
export function costsKey(place: ModelFaultPlace): boolean {
  return place === 'key' || place === 'open' || place === 'guard';
}

/** Whether it is not tried again after this many attempts in a row. */
export function isFinal({ code, place }: Pick<ModelFault, 'code' | 'place'>, attempts: number): boolean {
  return costsKey(place) && (lasting.has(code) || attempts >= ATTEMPTS_MAX);
}

function codeOf(error: unknown, place: ModelFaultPlace): ModelFaultCode {
  const system = causesOf(error)
    .map((each) => ofSystem(each, place))
    .find((code) => code !== undefined);
  if (system !== undefined) return system;
  if (error instanceof AgentError) return ofAgent(error);
  if (error instanceof HardwareError) return 'key-unusable';
  if (error instanceof HostError)
    return error.code === 'memory-file-unavailable' ? 'shared-memory-missing' : 'unexpected';
  if (error instanceof WireError) return 'hub-failed';
  if (error instanceof CoreError) return place === 'open' ? 'model-damaged' : 'model-refused';
  return 'unexpected';
}

function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  for (let each = error; each instanceof Error && causes.length < CAUSES_MAX; each = each.cause) causes.push(each);
  return causes;
}

function ofSystem(error: unknown, place: ModelFaultPlace): ModelFaultCode | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EMFILE':
    case 'ENFILE':
      return 'descriptors-short';
    case 'ENOMEM':
      return 'memory-short';
    case 'ENOSPC':
    case 'EDQUOT':
      return place === 'check' || place === 'open' ? 'shared-memory-short' : 'disk-full';
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return place === 'check' || place === 'guard' ? 'temporary-folder-unusable' : 'disk-failed';
    case 'EIO':
      return 'disk-failed';
    default:
      return undefined;
  }
}

function ofAgent({ code, message }: AgentError): ModelFaultCode {
  switch (code) {
    case 'guard-failed':
      return 'model-unsupported';
    case 'guard-missing':
      return 'guard-unavailable';
    case 'guard-start':
      return message.includes('was not ready within') ? 'guard-slow' : 'guard-unavailable';
    // Nobody knows which versions were served before.
    case 'state-lost':
      return 'model-rollback';
    case 'hub-offline':
    case 'hub-refused':
    case 'hub-answer-invalid':
      return 'hub-failed';
    default:
      return modelFaultCodes.find((each) => each === code) ?? 'unexpected';
  }
}
