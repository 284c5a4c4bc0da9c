// Settings of the agent under the names of the version before (docs/upgrading.md).
import type { FormerNames } from '@edgekeep/core/former-names';

export const formerAgentSettings: FormerNames = {
  enrolmentTokenFile: 'enrollmentTokenFile',
  'guard.probeSecondsMax': 'guard.maxProbeSeconds',
  'guard.readySecondsMax': 'guard.maxReadySeconds',
  'guard.inferenceSecondsMax': 'guard.maxInferenceSeconds',
  'guard.memoryMebibytesMax': 'guard.maxMemoryMebibytes',
  reconnectSecondsMax: 'maxReconnectSeconds',
};

/** Where a kit of the version before has the one-time token. */
export const formerTokenFile = 'enrolment-token';
