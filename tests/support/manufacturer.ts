// A manufacturer that a test's hub trusts or not, and devices with its IDevIDs.
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { CertificateTemplate } from '@edgekeep/core/identity/issue';
import type { TestManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import type { IdevidHardware } from '@edgekeep/hardware/onboarding';
import { enrollmentGroupView } from '@edgekeep/wire/api/enrollment-group';
import type { HubWorld } from './hub-world.ts';

/** Devices of this manufacturer enroll without a token. */
export async function trustManufacturer(
  world: HubWorld,
  { root }: TestManufacturer,
  name: string,
  terms: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const order = { name, kind: 'ca', certificate: encodePem('CERTIFICATE', root.der), terms };
  await world.operator.send('POST', '/v1/enrollment-groups', order, enrollmentGroupView);
}

/** Gives the hardware an IDevID with this serial number, which `change` may break; returns its DER. */
export async function giveIdevid(
  manufacturer: TestManufacturer,
  hardware: IdevidHardware,
  serialNumber: string,
  change?: (template: CertificateTemplate) => CertificateTemplate,
): Promise<Uint8Array> {
  const { publicKey } = await hardware.idevidSigner();
  const chain = await manufacturer.issue(encodeSpki(publicKey), { serialNumber }, change);
  await hardware.storeIdevid(chain);
  return chain[0];
}
