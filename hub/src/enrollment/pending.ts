// What the hub keeps on a connection between the two steps of an enrollment (spec/enrollment.md).
import type { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import type { Appraiser } from '../attest/appraiser.ts';
import type { Authorities } from '../authority/authorities.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import type { MakerEvidence } from '../vendor-root/device-makers.ts';
import type { VendorRoots } from '../vendor-root/vendor-roots.ts';
import type { TrustedIdevid } from './idevid.ts';
import type { EnrollmentGroup, EnrollmentProof } from './match.ts';
import type { EnrollmentSettings } from './settings.ts';
import type { ShownToken } from './shown-token.ts';

export interface EnrollmentDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: EnrollmentSettings;
  readonly vendorRoots: Pick<VendorRoots, 'trust'>;
  readonly appraiser: Appraiser;
}

export interface PendingEnrollment {
  /** Of its evidence; undefined from an agent of the version before. */
  readonly version: typeof certifyVersion | undefined;
  readonly deviceId: string;
  readonly identity: DeviceIdentity;
  readonly token: ShownToken | undefined;
  readonly proof: EnrollmentProof;
  /** The group that admits it. */
  readonly group: EnrollmentGroup | undefined;
  /** Which of the device's identities this will be; above 1 for a device that was wiped. */
  readonly incarnation: number;
  /** The identity from its manufacturer; the device must still prove the key. */
  readonly idevid: TrustedIdevid | undefined;
  /** What the certificates of makers say about it. */
  readonly makersWords: readonly MakerEvidence[];
  /** The address of the request. */
  readonly address: string;
  /** A secret that only the agreement key of a secure element opens. */
  readonly agreementSecret: Uint8Array | undefined;
  /** A secret that only the TPM with both keys can read; undefined for a device without a TPM. */
  readonly credentialSecret: Uint8Array | undefined;
}

export function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
