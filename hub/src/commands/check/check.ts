// `edgekeep hub check`: problems that would keep this hub from starting or working, found from its data folder alone. It only reads, and
// opens no key.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HubError } from '../../common/error.ts';
import { type HubSettings, hubSettingsSchema, readHubSettings, settingsFileName } from '../../settings.ts';
import type { Kysely } from 'kysely';
import type { Tables } from '../../store/schema.ts';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import { messageOf } from '@edgekeep/core/message-of';
import { checkArtifacts } from './artifacts.ts';
import { checkFolder, checkKeys } from './keys.ts';
import { checkDisk, checkPorts, checkUnlockProgram } from './machine.ts';
import { checkNames, checkReachable } from './names.ts';
import { checkCoverage, checkPolicy } from './policy.ts';
import { checkReferenceValues } from './reference-values.ts';
import { checkPostQuantum } from './post-quantum.ts';
import { checkRows } from './rows.ts';
import { openStore, orNone } from './opened-store.ts';
import { checkStore } from './store.ts';
import { checkRootFolders } from './vendor-roots.ts';

export async function checkHub(folder: string, nowMs: number): Promise<readonly Finding[]> {
  const { settings, finding } = await checkSettings(folder);
  await using store = await openStore(folder, settings);
  const inStore = (check: (db: Kysely<Tables>) => Promise<readonly Finding[]>) => orNone(store.db, check);
  return [
    finding,
    await checkFolder(folder),
    ...(await checkKeys(folder, settings)),
    ...store.findings,
    ...(await checkStore(store, settings, nowMs)),
    ...(await inStore((db) => checkRows(db, folder))),
    ...(await inStore((db) => checkPolicy(db, nowMs))),
    checkCoverage(settings),
    ...(await inStore((db) => checkReferenceValues(db, settings))),
    ...(await inStore((db) => checkPostQuantum(db, settings))),
    checkReachable(settings),
    ...(await inStore((db) => checkNames(db, settings))),
    ...(await checkRootFolders(folder, settings)),
    ...(await checkPorts(settings)),
    checkUnlockProgram(settings),
    await checkDisk(folder),
    ...(await checkArtifacts(folder, settings)),
  ];
}

/** Settings that cannot be read are replaced by the defaults, so that the other checks still run. */
async function checkSettings(folder: string): Promise<{ settings: HubSettings; finding: Finding }> {
  try {
    const settings = await readHubSettings(folder);
    const path = join(folder, settingsFileName);
    const finding = existsSync(path)
      ? ok('settings', path)
      : failed(
          'settings',
          `no ${path}: no hub can start here`,
          'restore a backup (docs/backup.md), or `edgekeep hub init`',
        );
    return { settings, finding };
  } catch (error) {
    if (!(error instanceof HubError) && !(error instanceof Error && 'code' in error)) throw error;
    const finding = failed('settings', messageOf(error), 'correct hub.json: docs/settings.md');
    return { settings: hubSettingsSchema.parse({}), finding };
  }
}
