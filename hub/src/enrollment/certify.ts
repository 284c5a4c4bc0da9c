// Certifying the next operational key of a registered device: renewal on a live connection, and recovery after a restart. The proof is the
// same for both: the registered root of trust quotes over our nonce and the new key.
import type { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest } from '@edgekeep/core/identity/certificate';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { type Appraiser, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import { appendEntry } from '../audit/append.ts';
import type { Authorities } from '../authority/authorities.ts';
import { incarnationOf } from '../registry/device-row.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { identityOf } from '../attest/root-keys.ts';
import { appraiseOwn, hubNamesOf, type OwnEvidence } from './own-evidence.ts';
import { qualifiedFor } from './qualified.ts';
import type { CertificateSettings } from './settings.ts';
import type { Database } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { issueDeviceCertificate, recordCertificate } from '../authority/issue.ts';

export interface CertifyDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: CertificateSettings;
  readonly appraiser: Appraiser;
}

export interface CertifyProof extends OwnEvidence {
  /** Of the evidence; undefined from an agent of the version before. */
  readonly version?: typeof certifyVersion | undefined;
  /** DER PKCS#10. */
  readonly certificateRequest: Uint8Array;
  /** Serial number of the certificate that the new one follows; undefined after a restart. */
  readonly renewedFrom?: string | undefined;
  /** Of the connection on which it came. */
  readonly exporter: Uint8Array;
}

/**
 * Issues the certificate, with its audit entry of the given kind. Throws `renewal-refused` when the evidence does not prove the key. Only
 * after the evidence proved to be the device's own, throws the refusal for a device that is cut off.
 */
export async function certifyNextKey(
  dependencies: CertifyDependencies,
  device: DeviceRecord,
  proof: CertifyProof,
  entryKind: 'certificate-renewed' | 'device-recovered',
): Promise<Certificate> {
  return untilReferencesStay(() => certifyOnce(dependencies, device, proof, entryKind));
}

async function certifyOnce(
  dependencies: CertifyDependencies,
  device: DeviceRecord,
  proof: CertifyProof,
  entryKind: 'certificate-renewed' | 'device-recovered',
): Promise<Certificate> {
  const { database, authorities, settings } = dependencies;
  const { version, nonce, nowMs, exporter } = proof;
  const { spki } = parseCertificateRequest(proof.certificateRequest);
  const asked = { version, deviceId: device.id, identity: identityOf(device), nonce, operationalSpki: spki, exporter };
  const purpose = entryKind === 'device-recovered' ? 'recover' : 'renew';
  const hubs = await hubNamesOf(database.read, settings.logOrigin);
  const qualified = qualifiedFor(purpose, hubs, asked, proof.evidence);
  const proven = { qualifyingData: qualified, what: 'the new key' };
  const { appraisal } = await appraiseOwn(dependencies, device, proof, proven);
  const order = {
    deviceId: device.id,
    spki,
    nowMs,
    lifeSeconds: settings.certificateSeconds,
    publicUrl: settings.publicUrl,
  };
  const certificate = await issueDeviceCertificate(authorities, order);
  await database.write(async (trx) => {
    // State and identity may have changed while the evidence was appraised.
    await recordCertificate(trx, certificate, device.id, {
      renewedFrom: proof.renewedFrom,
      incarnation: incarnationOf(device),
    });
    assertNotCutOff(await recordAppraisal(trx, device.id, appraisal, nowMs));
    await appendEntry(trx, {
      at: nowMs,
      kind: entryKind,
      actor: `device:${device.id}`,
      subject: `device:${device.id}`,
      data: { certificate: toHex(certificateDigest(certificate)) },
    });
  });
  return certificate;
}
