// The fault of a model on a device, in one line.
import { counted } from '@edgekeep/core/counted';
import type { DeviceModelView } from '@edgekeep/wire/api/model';

/** `cannot use 1.2.0: model-unsupported (guard): …`; a temporary fault also shows how often it occurred. */
export function faultText(fault: NonNullable<DeviceModelView['fault']>): string {
  const { version, code, place, message, attempts, final } = fault;
  const release = version ?? 'the offered release';
  const how = final ? `cannot use ${release}` : `fails with ${release}, ${counted(attempts, 'time')}`;
  return `${how}: ${code} (${place}): ${message}`;
}
