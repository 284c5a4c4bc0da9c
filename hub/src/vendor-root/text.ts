// One line about the makers whose certificates a hub has, for its start and for `hub check`.
import { counted } from '@edgekeep/core/counted';
import type { VendorRootKind } from '@edgekeep/wire/api/vendor-root';
import type { VendorRootCount } from './vendor-roots.ts';

const makers: Readonly<Record<VendorRootKind, string>> = { tpm: 'TPM', dice: 'DICE', idevid: 'IDevID' };

/** For example `makers of hardware: TPM 12 roots and 40 intermediates (2 ended), DICE none, IDevID none`. */
export function vendorRootText(counts: readonly VendorRootCount[]): string {
  return `makers of hardware: ${counts.map((count) => `${makers[count.kind]} ${countText(count)}`).join(', ')}`;
}

function countText({ roots, intermediates, ended }: VendorRootCount): string {
  if (roots + intermediates === 0) return 'none';
  const both = `${counted(roots, 'root')} and ${counted(intermediates, 'intermediate')}`;
  return ended === 0 ? both : `${both} (${ended} ended)`;
}
