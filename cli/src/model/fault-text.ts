// What is wrong with a model on a device, in one line.
import type { DeviceModelView } from '@edgekeep/wire/api/model';

/** `cannot use 1.2.0: model-unsupported (guard): …`; a fault that passes says how often it was met. */
export function faultText(fault: NonNullable<DeviceModelView['fault']>): string {
  const { version, code, place, message, attempts, final } = fault;
  const release = version ?? 'what it was offered';
  const how = final ? `cannot use ${release}` : `fails with ${release}, ${attempts} times`;
  return `${how}: ${code} (${place}): ${message}`;
}
