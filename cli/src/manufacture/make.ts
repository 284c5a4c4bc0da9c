// One device on the line, in the order of spec/manufacture.md, "Issuing": key, proof, certificate, certificate on the device, manifest.
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { certificateIdentity } from '@edgekeep/core/identity/certificate-identity';
import { writeIdevidFile } from '@edgekeep/hardware/idevid-file';
import { type HardwarePlace, withHardware } from './hardware.ts';
import { issueBeside, issueOnce } from './issued.ts';
import { type ManifestLine, serialTag } from './manifest.ts';
import type { Manufacturer } from './manufacturer.ts';

export interface DeviceOrder {
  readonly serialNumber: string;
  readonly id: string;
  readonly hardwareType?: string | undefined;
  readonly product?: string | undefined;
  readonly place: HardwarePlace;
  /** The place of the certificate when the hardware has no room for it. */
  readonly idevidFile?: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
}

export interface LineTerms {
  readonly vendorRoots: readonly Certificate[];
  /** A manifest group at the hub that lists the devices. */
  readonly enrollmentGroup?: string | undefined;
  readonly nowSeconds: number;
}

export type ManufactureResult =
  | {
      readonly kind: 'made';
      readonly line: ManifestLine;
      /** False when this serial number had its IDevID before. */
      readonly fresh: boolean;
      readonly kept: 'hardware' | 'file';
    }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

export async function makeDevice(
  manufacturer: Manufacturer,
  order: DeviceOrder,
  terms: LineTerms,
): Promise<ManufactureResult> {
  const { serialNumber, id, product, place, idevidFile, tags, groups } = order;
  const { nowSeconds, vendorRoots, enrollmentGroup } = terms;
  return withHardware(place, { serialNumber, vendorRoots, nowSeconds }, async (examined, store) => {
    if (examined.kind === 'refused') return examined;
    const { spki, rootSha256, inVerifiedTpm, beside } = examined;
    const hardwareType = order.hardwareType ?? manufacturer.hardwareType;
    const issued = await issueOnce(manufacturer, {
      serialNumber,
      hardwareType,
      product,
      inVerifiedTpm,
      spki,
      nowSeconds,
    });
    if (issued.kind === 'refused') return issued;
    const [leaf] = issued.chain;
    const ofKeys = await issueBeside(manufacturer, { serialNumber, hardwareType, product, nowSeconds }, beside);
    const kept = await keep([...issued.chain, ...ofKeys], store, idevidFile);
    if (kept === undefined) {
      const message = 'the hardware has no room for the certificate: name a file of the device for it (idevidFile)';
      return { kind: 'refused', code: 'no-room', message };
    }
    const line: ManifestLine = {
      id,
      rootSha256,
      idevidSha256: certificateIdentity(parseForeignCertificate(leaf)),
      ...(enrollmentGroup === undefined ? {} : { enrollmentGroup }),
      tags: { ...tags, [serialTag]: serialNumber },
      ...(groups.length === 0 ? {} : { groups: [...groups] }),
    };
    return { kind: 'made', line, fresh: issued.fresh, kept };
  });
}

async function keep(
  chain: readonly Uint8Array[],
  store: (chain: readonly Uint8Array[]) => Promise<'stored' | 'no-room'>,
  file: string | undefined,
): Promise<'hardware' | 'file' | undefined> {
  if ((await store(chain)) === 'stored') return 'hardware';
  if (file === undefined) return undefined;
  await writeIdevidFile(file, chain);
  return 'file';
}
