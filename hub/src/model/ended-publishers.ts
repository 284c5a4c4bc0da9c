// Publishers that have ended, and what devices still have of them (spec/model-signature.md, "The end of a publisher"): an alert while devices hold keys of
// their models, and the manifests that count after the end.
import { counted } from '@edgekeep/core/counted';
import type { Kysely } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

const everyMilliseconds = 600_000;
const MODELS_NAMED_MAX = 16;
/** Shorter than what an alert keeps of a title. */
const TITLE_COMPARED_MAX = 250;
const kind = 'publisher-ended';

/** Weighs the alert from time to time: an end may come later, and leases end. */
export function endedPublishersJob(database: Database, clock: Clock): Job {
  return {
    name: 'ended-publishers',
    summary: 'raises and settles the alert about devices that hold keys for models of a publisher that has ended',
    everyMilliseconds,
    runsOn: 'one-node',
    run: () => weighEndedPublishers(database, clock()),
  };
}

/** Raises the alert about each ended publisher whose models devices hold keys for, and settles it when none does. */
export async function weighEndedPublishers(database: Database, nowMs: number): Promise<void> {
  const ended = await database.read
    .selectFrom('publisher_end')
    .innerJoin('publisher', 'publisher.fingerprint', 'publisher_end.fingerprint')
    .select(['publisher.fingerprint', 'name', 'ends_at'])
    .where('ends_at', '<=', nowMs)
    .execute();
  for (const { fingerprint, name, ends_at: endsAt } of ended) {
    const held = await heldOf(database.read, fingerprint, nowMs);
    const devices = new Set(held.map(({ device_id: id }) => id)).size;
    const models = [...new Set(held.map(({ model, version }) => `${model} ${version}`))].slice(0, MODELS_NAMED_MAX);
    const title = `${name} ended on ${new Date(endsAt).toISOString().slice(0, 10)}, and devices hold keys for its models (${counted(devices, 'device')}): ${models.join(', ')}`;
    const open = await openTitles(database.read);
    if (held.length === 0 ? open.length === 0 : open.includes(title.slice(0, TITLE_COMPARED_MAX))) continue;
    const about = { kind, subject: { part: `publisher ${fingerprint.slice(0, 16)}` }, nowMs } as const;
    await database.writeAsHub(async (trx) => {
      if (held.length === 0) await settleAlert(trx, { ...about, note: `no device holds a key for a model of ${name}` });
      else
        await raiseAlert(trx, {
          ...about,
          severity: 'medium',
          title,
          data: { publisher: fingerprint, devices, models },
        });
    });
  }
}

/** Leases in force on releases of a publisher: the hub's own record, and not what devices report. */
async function heldOf(db: Kysely<Tables>, publisher: string, nowMs: number) {
  return db
    .selectFrom('lease')
    .innerJoin('model_release', (on) =>
      on.onRef('model_release.name', '=', 'lease.model').onRef('model_release.version', '=', 'lease.version'),
    )
    .select(['lease.device_id', 'lease.model', 'lease.version'])
    .distinct()
    .where('model_release.publisher', '=', publisher)
    .where('lease.revoked_at', 'is', null)
    .where('lease.not_after', '>', nowMs)
    .orderBy('lease.model')
    .orderBy('lease.version')
    .execute();
}

async function openTitles(db: Kysely<Tables>): Promise<readonly string[]> {
  const open = await db
    .selectFrom('alert')
    .select('title')
    .where('kind', '=', kind)
    .where('state', '!=', 'closed')
    .execute();
  return open.map(({ title }) => title.slice(0, TITLE_COMPARED_MAX));
}

/** The digests of all manifests that each publisher with an end published before it, by its fingerprint. */
export async function manifestsBeforeEnd(db: Kysely<Tables>): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db
    .selectFrom('publisher_end')
    .leftJoin('model_release', (on) =>
      on
        .onRef('model_release.publisher', '=', 'publisher_end.fingerprint')
        .onRef('model_release.published_at', '<', 'publisher_end.ends_at'),
    )
    .select(['fingerprint', 'manifest_digest'])
    .orderBy('manifest_digest')
    .execute();
  const digests = new Map<string, string[]>();
  for (const { fingerprint, manifest_digest: digest } of rows) {
    const known = digests.get(fingerprint) ?? [];
    digests.set(fingerprint, digest === null ? known : [...known, digest]);
  }
  return digests;
}

/** Publishers of which devices may still be offered a release. */
export async function publishersInUse(db: Kysely<Tables>): Promise<ReadonlySet<string>> {
  const rows = await db
    .selectFrom('model_release')
    .select('publisher')
    .distinct()
    .where('state', '=', 'published')
    .execute();
  return new Set(rows.map(({ publisher }) => publisher));
}
