// What a device gets when it enrolls (spec/enrollment-groups.md, "What a device gets"): its place in the group, tags, desired attributes,
// device groups, a site. What an import says about the device takes precedence over what its group says about all.
import { canonicalAddress, networkContains, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import { TAGS_MAX } from '@edgekeep/wire/api/registry';
import { HubError } from '../common/error.ts';
import { listSites } from '../site/sites.ts';
import type { WriteTransaction } from '../store/database.ts';
import { giveDesired } from '../registry/attributes.ts';
import { type EnrollmentGroup, groupFull } from './match.ts';
import { joinsOf } from './groups.ts';
import { setEnrollmentGroup } from '../registry/device-row.ts';
import { setSite } from '../registry/device-site.ts';
import { addMembers } from '../registry/groups.ts';
import { addMissingTags, tagsOf } from '../registry/tags.ts';

export interface JoiningDevice {
  readonly deviceId: string;
  /** The address that it enrolls from, taken from its connection. */
  readonly address: string;
  readonly nowMs: number;
}

/** Takes one of the group's places and gives the device everything that the group defines. The device's row must exist. */
export async function joinEnrollmentGroup(
  trx: WriteTransaction,
  group: EnrollmentGroup,
  newcomer: JoiningDevice,
): Promise<void> {
  const { name, terms } = group;
  const { deviceId, nowMs } = newcomer;
  await takePlace(trx, name);
  await setEnrollmentGroup(trx, deviceId, name);
  await giveTags(trx, group, deviceId);
  if (terms.desired !== undefined) await giveDesired(trx, deviceId, terms.desired, nowMs);
  await addMembers(
    trx,
    (await joinsOf(trx, name)).map((joined) => ({ group_name: joined, device_id: deviceId })),
  );
}

/** Puts a device at the site that its import names, else at the one of its group. Returns the site, null for none. */
export async function allocateSite(
  trx: WriteTransaction,
  group: EnrollmentGroup | undefined,
  { deviceId, address }: JoiningDevice,
): Promise<string | null> {
  const expected = await trx.selectFrom('expected_device').select('site').where('id', '=', deviceId).executeTakeFirst();
  const ordered = expected?.site ?? group?.terms.site ?? null;
  const site = ordered ?? (group?.terms.siteByAddress === true ? await siteAt(trx, address) : null);
  if (site === null) return null;
  const known = await trx.selectFrom('site').select('name').where('name', '=', site).executeTakeFirst();
  // Policies depend on the site: a device must not start at a different site than intended.
  if (known === undefined) throw refused('site-unknown', `${deviceId} belongs to the site ${site}, which was deleted`);
  await setSite(trx, deviceId, site);
  return site;
}

// Two devices may take the last place at the same time: the row decides.
async function takePlace(trx: WriteTransaction, name: string): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('enrolment_group')
    .set((q) => ({ devices: q('devices', '+', 1) }))
    .where('name', '=', name)
    .where((eb) => eb.or([eb('devices_most', 'is', null), eb('devices', '<', eb.ref('devices_most'))]))
    .executeTakeFirst();
  if (Number(numUpdatedRows) !== 1) throw groupFull(name);
}

async function giveTags(trx: WriteTransaction, { name, terms }: EnrollmentGroup, deviceId: string): Promise<void> {
  if (Object.keys(terms.tags).length === 0) return;
  await addMissingTags(trx, deviceId, terms.tags);
  const tags = (await tagsOf(trx, [deviceId])).get(deviceId) ?? {};
  if (Object.keys(tags).length > TAGS_MAX)
    throw refused('tags-too-many', `the tags of ${deviceId} and of ${name} together are more than ${TAGS_MAX}`);
}

// The narrowest network wins; of two sites with the same network, the first by name.
async function siteAt(trx: WriteTransaction, text: string): Promise<string | null> {
  const address = parseAddress(canonicalAddress(text) ?? '');
  if (address === undefined) return null;
  const matches = (await listSites(trx)).flatMap(({ name, networks }) =>
    networks.flatMap((each) => {
      const network = parseNetwork(each);
      return network !== undefined && networkContains(network, address) ? [{ name, length: network.prefixLength }] : [];
    }),
  );
  const [best] = matches.toSorted((a, b) => b.length - a.length);
  return best?.name ?? null;
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
