// The common part of the verbs of `edgekeep vendor-root`: the kind of maker, and how a certificate is shown.
import { type VendorRootKind, vendorRootKinds } from '@edgekeep/wire/api/vendor-root';
import { type Arguments, UsageError } from '../command.ts';

export const kindOption = { kind: { type: 'string' } } as const;
export const kindHelp = `--kind      tpm (endorsement certificates; the default), dice (DeviceID certificates) or idevid (identities by IEEE 802.1AR)`;

export function kindIn(args: Pick<Arguments, 'option'>): VendorRootKind | undefined {
  const text = args.option('kind');
  if (text === undefined) return undefined;
  const kind = vendorRootKinds.find((each) => each === text);
  if (kind === undefined) throw new UsageError(`--kind takes one of ${vendorRootKinds.join(', ')}`);
  return kind;
}

/** Fingerprints of roots are shipped; they say nothing about an intermediate. */
export function knownText(known: boolean | null): string {
  if (known === null) return '-';
  return known ? 'known' : 'unknown';
}

// 9999-12-31: the certificate has no end (RFC 5280 section 4.1.2.5).
const withoutEndMs = 253_402_300_799_000;

export function dayText(milliseconds: number): string {
  return milliseconds >= withoutEndMs ? 'never' : new Date(milliseconds).toISOString().slice(0, 10);
}
