// A device whose own evidence shows a boot that nobody accepts (spec/api.md, "States of a device"). It stays connected, so that it can attest a
// better one; until then it gets no key and no orders, it is no witness, and its workloads have no valid certificate.
import type { DeviceRecord } from '../store/tables/registry.ts';

/** A device that has never been active stays `registered` with such a boot. */
export function isContraindicated({ state, attestation }: Pick<DeviceRecord, 'state' | 'attestation'>): boolean {
  return state === 'suspect' || (state === 'registered' && attestation === 'contraindicated');
}
