// Opens the makers' certificates: the files of the data folder are imported once, the rest is in the store.
import type { Clock } from '../common/clock.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';
import type { Subject } from '../common/subject.ts';
import { type FolderNotices, importRootFolders } from './folder.ts';
import { registerVendorRootMetric } from './metric.ts';
import { VendorRoots } from './vendor-roots.ts';

export interface VendorRootSubject extends Subject {
  readonly roots: VendorRoots;
  /** Problems of the files of makers' certificates. */
  readonly notices: FolderNotices;
}

export async function openVendorRoots(
  database: Database,
  folder: string,
  { onUnreadable }: { readonly onUnreadable: 'skip' | 'refuse' },
  clock: Clock,
): Promise<VendorRootSubject> {
  const notices = await asHub(() => importRootFolders(folder, { database, onUnreadable, nowMs: clock() }));
  const roots = await VendorRoots.open(database);
  return {
    roots,
    notices,
    metrics: (registry) => registerVendorRootMetric(registry, roots, clock),
    reload: () => roots.reload(),
    follows: { tables: ['vendor_root'], read: () => roots.reload() },
  };
}
