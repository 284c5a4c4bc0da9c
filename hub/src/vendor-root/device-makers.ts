// What the maker's certificate of a device said when the device enrolled, and by which authorities (spec/vendor-roots.md, "What is kept").
// Shows an operator what depends on a root, and the time at which a path was judged.
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { certificateDigests } from '@edgekeep/core/identity/certificate-identity';
import { makerOf } from '@edgekeep/core/identity/maker-authority';
import { cutText, printable } from '@edgekeep/core/canonical/printable';
import type { VendorRootKind } from '@edgekeep/wire/api/vendor-root';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceMakerRow } from '../store/tables/vendor-root.ts';

export interface MakerEvidence {
  readonly kind: VendorRootKind;
  /** The TCG's vendor id for a TPM; otherwise left out, and the anchor's name is used. */
  readonly maker?: string;
  /** The device's certificate first, the anchor last. */
  readonly chain: readonly Certificate[];
  readonly judgedAtMs: number;
  readonly notes: readonly string[];
  /** Enrollment groups that supply the anchor; a separate check makes sure that they are open. */
  readonly anchorGroups: readonly string[];
}

// Notes quote names, which may be long; there are few on one path.
const NOTE_CHARACTERS_MAX = 600;

/**
 * Stores what the certificates said in the enrollment that this transaction completes, in place of earlier data. Throws `enrollment-refused`
 * when an operator has removed a certificate of a path.
 */
export async function recordMakers(
  trx: WriteTransaction,
  deviceId: string,
  words: readonly MakerEvidence[],
): Promise<void> {
  await trx.deleteFrom('device_maker').where('device_id', '=', deviceId).execute();
  await trx.deleteFrom('device_maker_path').where('device_id', '=', deviceId).execute();
  for (const word of words) {
    await assertNoneRemoved(trx, word);
    await recordMaker(trx, deviceId, word);
  }
}

export async function recordMaker(trx: WriteTransaction, deviceId: string, word: MakerEvidence): Promise<void> {
  const { kind, chain, judgedAtMs, notes } = word;
  const anchor = chain.at(-1);
  const maker = anchor === undefined ? 'unknown' : makerOf(anchor);
  await trx
    .insertInto('device_maker')
    .values({
      device_id: deviceId,
      kind,
      maker: word.maker === undefined ? maker : cutText(`${maker} (${word.maker})`, 120),
      judged_at: judgedAtMs,
      notes: JSON.stringify(notes.map((note) => printable(note, NOTE_CHARACTERS_MAX))),
    })
    .execute();
  const digests = await knownDigests(trx, kind, chain.slice(1));
  const rows = digests.map((sha256) => ({ device_id: deviceId, kind, sha256 }));
  if (rows.length > 0) await trx.insertInto('device_maker_path').values(rows).execute();
}

// The device sent its intermediates: one that is in the store under another form of its signature is the one in the store.
async function knownDigests(
  trx: WriteTransaction,
  kind: VendorRootKind,
  authorities: readonly Certificate[],
): Promise<readonly string[]> {
  const forms = authorities.map(certificateDigests);
  if (forms.length === 0) return [];
  const rows = await trx
    .selectFrom('vendor_root')
    .select('sha256')
    .where('kind', '=', kind)
    .where('sha256', 'in', forms.flat())
    .execute();
  const known = new Set(rows.map(({ sha256 }) => sha256));
  const named = authorities.map(({ der }, at) => forms[at]?.find((digest) => known.has(digest)) ?? sha256Hex(der));
  return [...new Set(named)];
}

// A removed intermediate refuses the path also when the device sent it: who has its stolen key has its certificate too. An anchor that a group
// supplies need not be in the store.
async function assertNoneRemoved(trx: WriteTransaction, { kind, chain, anchorGroups }: MakerEvidence): Promise<void> {
  const judged = anchorGroups.length > 0 ? chain.slice(0, -1) : chain;
  const stored = await trx
    .selectFrom('vendor_root')
    .select(['sha256', 'role', 'removed_at'])
    .where('kind', '=', kind)
    .where('sha256', 'in', judged.flatMap(certificateDigests))
    .execute();
  const anchor = chain.at(-1);
  const digest = anchor === undefined ? undefined : sha256Hex(anchor.der);
  const anchored =
    anchorGroups.length > 0 || stored.some(({ sha256, role }) => sha256 === digest && role !== 'intermediate');
  if (anchored && stored.every(({ removed_at }) => removed_at === null)) return;
  const message = 'an operator removed a certificate of the maker that this device’s path needs';
  throw new HubError('enrollment-refused', message, { reasons: [{ code: 'vendor-root-removed', message }] });
}

const storedNotes = z.array(z.string());

export interface RecordedMaker {
  readonly kind: VendorRootKind;
  readonly maker: string;
  readonly judgedAt: number;
  readonly notes: readonly string[];
}

/** What is stored about a device. */
export async function makersOf(db: Kysely<Tables>, deviceId: string): Promise<readonly RecordedMaker[]> {
  const rows = await makersByDevice(db, { deviceId });
  return rows.map(({ kind, maker, judged_at, notes }) => ({
    kind,
    maker,
    judgedAt: judged_at,
    notes: storedNotes.parse(JSON.parse(notes)),
  }));
}

type StoredMaker = Pick<DeviceMakerRow, 'kind' | 'maker' | 'judged_at' | 'notes'>;

const makersByDevice = prepared<{ deviceId: string }, StoredMaker>((db, value) =>
  db
    .selectFrom('device_maker')
    .select(['kind', 'maker', 'judged_at', 'notes'])
    .where('device_id', '=', value('deviceId'))
    .where('judged_at', '>=', 0)
    .orderBy('kind'),
);

/** DER of the intermediates on the device's path that the store has, also those that were removed since. */
export async function intermediatesOf(
  db: Kysely<Tables>,
  deviceId: string,
  kind: VendorRootKind,
): Promise<readonly Uint8Array[]> {
  const rows = await db
    .selectFrom('device_maker_path')
    .innerJoin('vendor_root', (join) =>
      join
        .onRef('vendor_root.sha256', '=', 'device_maker_path.sha256')
        .onRef('vendor_root.kind', '=', 'device_maker_path.kind'),
    )
    .select('vendor_root.der')
    .where('device_maker_path.device_id', '=', deviceId)
    .where('device_maker_path.kind', '=', kind)
    .where('vendor_root.role', '=', 'intermediate')
    .orderBy('vendor_root.sha256')
    .execute();
  return rows.map(({ der }) => der);
}

/** A device that enrolled before the hub stored what its maker said. */
export interface OldDevice {
  readonly id: string;
  readonly identity: string;
  readonly enrolledAtMs: number;
}

/** Devices without a row: until there are none, nobody knows what depends on a root. */
export async function withoutMaker(db: Kysely<Tables>, maxListed: number): Promise<readonly OldDevice[]> {
  return db
    .selectFrom('device')
    .leftJoin('device_maker', 'device_maker.device_id', 'device.id')
    .select(['device.id as id', 'device.identity as identity', 'device.enrolled_at as enrolledAtMs'])
    .where('device.tier', 'in', ['tpm', 'dice'])
    .where('device_maker.device_id', 'is', null)
    .orderBy('device.id')
    .limit(maxListed)
    .execute();
}
