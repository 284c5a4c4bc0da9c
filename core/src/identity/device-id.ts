// Device ids, and their places in an operational certificate: as the common name and as `urn:edgekeep:device:ID`.
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { attributeText } from './distinguished-name.ts';
import { attributeOid } from './oid.ts';

/** Lower-case letters, digits and hyphens, 1 to 63 characters: safe as a host name label, a path segment and a topic level. */
export const deviceIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

const prefix = 'urn:edgekeep:device:';

export function isDeviceId(text: string): boolean {
  return deviceIdPattern.test(text);
}

export function deviceUri(deviceId: string): string {
  if (!isDeviceId(deviceId)) throw new CoreError('encoding-invalid', `not a device id: ${JSON.stringify(deviceId)}`);
  return prefix + deviceId;
}

/**
 * The device of a certificate. Call it only on a certificate whose path was validated. Throws `certificate-invalid` unless there is exactly
 * one URI among the alternative names, a device's, and the common name agrees: two ids in one certificate would be two devices to two
 * readers, and an additional SPIFFE ID would be a workload to a third.
 */
export function deviceIdOf(certificate: Certificate): string {
  const names = certificate.extensions.subjectAltName?.names ?? [];
  const uris = names.flatMap((name) => (name.kind === 'uri' ? [name.text] : []));
  const [uri = ''] = uris;
  const deviceId = uri.startsWith(prefix) ? uri.slice(prefix.length) : '';
  const commonName = attributeText(certificate.subject, attributeOid.commonName);
  if (names.length !== 1 || uris.length !== 1 || !isDeviceId(deviceId) || commonName !== deviceId) {
    throw new CoreError(
      'certificate-invalid',
      'certificate: expected a device URI, no other name, and the same common name',
    );
  }
  return deviceId;
}

/**
 * The default id of a device with this serial number: in lower case, with a hyphen for each character that an id cannot hold. Undefined
 * when nothing is left of it, or too much.
 */
export function deviceIdOfSerial(serialNumber: string): string | undefined {
  const id = serialNumber
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return isDeviceId(id) ? id : undefined;
}
