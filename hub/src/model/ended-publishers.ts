// Publishers that have ended, and what devices still have of them (spec/model-signature.md, "The end of a publisher"): an alert while devices hold keys of
// their models, and the manifests that count after the end.
import { counted } from '@edgekeep/core/counted';
import type { Kysely } from 'kysely';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

const everyMilliseconds = 600_000;
const MODELS_NAMED_MAX = 16;

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
    await weighAlert(
      database,
      { kind: 'publisher-ended', subject: { part: `publisher ${fingerprint.slice(0, 16)}` }, nowMs },
      held.length === 0
        ? { settled: `no device holds a key for a model of ${name}` }
        : { severity: 'medium', title, data: { publisher: fingerprint, devices, models } },
    );
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
