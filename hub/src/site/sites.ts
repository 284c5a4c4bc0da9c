// Sites (spec/site.md): the locations of devices. They answer a policy's conditions on place, time and zone.
import { emptySite, moveToSite, takeFromSite } from '../registry/device-site.ts';
import type { SiteView } from '@edgekeep/wire/api/site';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { SiteRow } from '../store/tables/site.ts';
import type { Tables } from '../store/schema.ts';

// The API lists all sites in one response.
const SITES_MAX = 1_000;

export type SiteDescription = Omit<SiteView, 'createdAt'>;

interface SiteOrder {
  readonly actor: string;
  readonly nowMs: number;
}

export async function createSite(
  database: Database,
  order: SiteOrder & { readonly site: SiteDescription },
): Promise<SiteView> {
  const { site, actor, nowMs } = order;
  return database.write(async (trx) => {
    const known = await listSites(trx);
    if (known.some(({ name }) => name === site.name))
      throw new HubError('conflict', `site ${site.name} exists already: \`edgekeep site list\` shows all`);
    if (known.length >= SITES_MAX) throw new HubError('conflict', `there are ${SITES_MAX} sites, which is the limit`);
    await trx
      .insertInto('site')
      .values({ ...columnsOf(site), name: site.name, created_at: nowMs })
      .execute();
    await appendEntry(trx, {
      at: nowMs,
      kind: 'site-created',
      actor,
      subject: `site:${site.name}`,
      data: loggedSite(site),
    });
    return { ...site, createdAt: nowMs };
  });
}

/** Replaces all data of a site; its devices stay. */
export async function changeSite(
  database: Database,
  order: SiteOrder & { readonly site: SiteDescription },
): Promise<SiteView> {
  const { site, actor, nowMs } = order;
  return database.write(async (trx) => {
    const { createdAt } = await getSite(trx, site.name);
    await trx.updateTable('site').set(columnsOf(site)).where('name', '=', site.name).execute();
    await appendEntry(trx, {
      at: nowMs,
      kind: 'site-changed',
      actor,
      subject: `site:${site.name}`,
      data: loggedSite(site),
    });
    return { ...site, createdAt };
  });
}

/** Returns how many devices have no site now. */
export async function deleteSite(database: Database, order: SiteOrder & { readonly name: string }): Promise<number> {
  const { name, actor, nowMs } = order;
  return database.write(async (trx) => {
    await getSite(trx, name);
    const unassigned = await emptySite(trx, name);
    await trx.deleteFrom('site').where('name', '=', name).execute();
    await appendEntry(trx, { at: nowMs, kind: 'site-deleted', actor, subject: `site:${name}`, data: { unassigned } });
    return unassigned;
  });
}

export interface SiteDevicesOrder extends SiteOrder {
  readonly name: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** Puts devices at a site, from any other site, and removes others from it. Returns how many really moved. */
export async function moveDevices(
  database: Database,
  order: SiteDevicesOrder,
): Promise<{ readonly added: number; readonly removed: number }> {
  const { name, add, remove, actor, nowMs } = order;
  return database.write(async (trx) => {
    await getSite(trx, name);
    await assertEnrolled(trx, add);
    const removed = await takeFromSite(trx, remove, name);
    const added = await moveToSite(trx, add, name);
    const ids = [...added.map(({ id }) => id), ...removed.map(({ id }) => id)].slice(0, LOGGED_MAX);
    const data = { added: added.length, removed: removed.length, devices: ids.join(' ') };
    await appendEntry(trx, { at: nowMs, kind: 'site-devices-moved', actor, subject: `site:${name}`, data });
    return { added: added.length, removed: removed.length };
  });
}

// An audit entry has at most 8 KiB: it shows the first ids, and the counts of all.
const LOGGED_MAX = 64;

async function assertEnrolled(trx: WriteTransaction, ids: readonly string[]): Promise<void> {
  const known = await inBatches(ids, async (some) =>
    trx.selectFrom('device').select('id').where('id', 'in', some).execute(),
  );
  const found = new Set(known.map(({ id }) => id));
  const unknown = ids.find((id) => !found.has(id));
  if (unknown !== undefined) throw new HubError('not-found', `no device ${unknown}, so no device was moved`);
}

export async function listSites(db: Kysely<Tables>): Promise<readonly SiteView[]> {
  const rows = await db.selectFrom('site').selectAll().orderBy('name').execute();
  return rows.map(viewOf);
}

/** The sites of these names that exist; at most as many names as one statement can hold. */
export async function sitesNamed(db: Kysely<Tables>, names: readonly string[]): Promise<readonly SiteView[]> {
  if (names.length === 0) return [];
  const rows = await db
    .selectFrom('site')
    .selectAll()
    .where('name', 'in', [...names])
    .execute();
  return rows.map(viewOf);
}

async function findSite(db: Kysely<Tables>, name: string): Promise<SiteView | undefined> {
  const row = await db.selectFrom('site').selectAll().where('name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : viewOf(row);
}

export async function getSite(db: Kysely<Tables>, name: string): Promise<SiteView> {
  const site = await findSite(db, name);
  if (site === undefined) throw new HubError('not-found', `no site ${name}: \`edgekeep site list\` shows all`);
  return site;
}

export async function countDevicesAt(db: Kysely<Tables>, name: string): Promise<number> {
  const { count } = await db
    .selectFrom('device')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('site', '=', name)
    .executeTakeFirstOrThrow();
  return count;
}

function columnsOf(site: SiteDescription): Omit<SiteRow, 'name' | 'created_at'> {
  const { description, timeZone, networks, country, position, zone } = site;
  return {
    description,
    time_zone: timeZone,
    networks: networks.join(' '),
    country,
    latitude: position?.latitude ?? null,
    longitude: position?.longitude ?? null,
    radius_metres: position?.radius ?? null,
    zone,
  };
}

function viewOf(row: SiteRow): SiteView {
  const { latitude, longitude, radius_metres: radius } = row;
  return {
    name: row.name,
    description: row.description,
    timeZone: row.time_zone,
    networks: row.networks === '' ? [] : row.networks.split(' '),
    country: row.country,
    position: latitude === null || longitude === null || radius === null ? null : { latitude, longitude, radius },
    zone: row.zone,
    createdAt: row.created_at,
  };
}

// 64 networks of 43 characters fit an entry; the position is written as text, because entries have only whole numbers.
function loggedSite({ timeZone, networks, country, position, zone }: SiteDescription) {
  const place = position === null ? null : `${position.latitude} ${position.longitude} ${position.radius} m`;
  return { timeZone, networks: networks.join(' '), country, position: place, zone };
}
