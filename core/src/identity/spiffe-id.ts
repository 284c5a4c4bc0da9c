// SPIFFE IDs (SPIFFE-ID standard, section 2), and the one form of the name of a workload on a device (spec/workload.md).
import { CoreError } from '../error.ts';
import { isDeviceId } from './device-id.ts';

const scheme = 'spiffe://';
/** SPIFFE-ID section 2.3. */
const ID_CHARACTERS_MAX = 2_048;
const TRUST_DOMAIN_CHARACTERS_MAX = 255;
/** Lower-case letters, digits, dots, dashes and underscores: one trust domain has one spelling. */
const trustDomainPattern = /^[a-z0-9._-]+$/;
const segmentPattern = /^[A-Za-z0-9._-]+$/;
/** Lower-case letters, digits and hyphens, 1 to 63 characters. */
export const workloadNamePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

export interface SpiffeId {
  readonly trustDomain: string;
  /** Segments of the path; none for the trust domain itself. */
  readonly path: readonly string[];
}

export interface WorkloadId {
  readonly trustDomain: string;
  readonly deviceId: string;
  readonly workload: string;
}

export function isTrustDomain(text: string): boolean {
  return text.length <= TRUST_DOMAIN_CHARACTERS_MAX && trustDomainPattern.test(text);
}

/** Strict: no user, port, query, fragment, escapes, empty or dotted segments. Throws `certificate-invalid`. */
export function parseSpiffeId(text: string): SpiffeId {
  const [trustDomain = '', ...path] = text.slice(scheme.length).split('/');
  const isWhole = text.length <= ID_CHARACTERS_MAX && text.startsWith(scheme) && isTrustDomain(trustDomain);
  if (!isWhole || !path.every((segment) => segmentPattern.test(segment) && segment !== '.' && segment !== '..')) {
    throw new CoreError('certificate-invalid', `not a SPIFFE ID: ${JSON.stringify(text.slice(0, 200))}`);
  }
  return { trustDomain, path };
}

/** `spiffe://TRUST-DOMAIN/device/DEVICE/workload/NAME`. Throws `encoding-invalid` for invalid parts. */
export function workloadSpiffeId({ trustDomain, deviceId, workload }: WorkloadId): string {
  if (!isTrustDomain(trustDomain) || !isDeviceId(deviceId) || !workloadNamePattern.test(workload)) {
    throw new CoreError('encoding-invalid', 'not a trust domain, device id and name of a workload');
  }
  return `${scheme}${trustDomain}/device/${deviceId}/workload/${workload}`;
}

/** The workload that a SPIFFE ID names. Throws `certificate-invalid` for any other path. */
export function parseWorkloadSpiffeId(text: string): WorkloadId {
  const { trustDomain, path } = parseSpiffeId(text);
  const [first, deviceId = '', second, workload = '', ...more] = path;
  const isOurs = first === 'device' && second === 'workload' && more.length === 0;
  if (!isOurs || !isDeviceId(deviceId) || !workloadNamePattern.test(workload)) {
    throw new CoreError(
      'certificate-invalid',
      `not the SPIFFE ID of a workload: ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
  return { trustDomain, deviceId, workload };
}
