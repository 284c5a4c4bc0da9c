// Keys that were stored before each had one form (docs/design/canonical-keys.md): digests over another form become those of the canonical one.
// Where two devices, certificates or publishers turn out to have one key, both stay as they are and `key_double` notes them: the hub raises an
// alert from there at its next start. Nothing in here keeps a hub from starting.
import { createHash, createPublicKey } from 'node:crypto';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { canonicalName } from '@edgekeep/core/identity/distinguished-name';
import { canonicalSpki, encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

type TablesThen = {
  key_double: { sha256: string; holders: string };
  device: { id: string; identity: string; root_sha256: string; next_root_sha256: string | null };
  former_identity: { device_id: string; generation: number; identity: string; root_sha256: string };
  certificate: { serial: string; device_id: string; workload: string | null; der: Uint8Array; spki_sha256: string };
  blocked_root: { root_sha256: string; reason: string; blocked_at: number };
  expected_device: { id: string; root_sha256: string | null };
  enrolment_listing: { kind: string; sha256: string };
  enrolment_group: {
    name: string;
    certificate: Uint8Array | null;
    anchor_sha256: string | null;
    subject_sha256: string | null;
  };
  device_idevid: { device_id: string; issuer_sha256: string; anchor_sha256: string };
  publisher: { fingerprint: string; name: string; public_key: string };
};
type Store = Kysely<TablesThen>;

/** From the digest of another form to the one of the canonical form. */
type Renamed = Map<string, string>;

/** Names of the devices whose root of trust has a key, by the digest of its canonical form. */
type Owners = Map<string, readonly string[]>;

const pageRows = 500;

export const migration: Migration = {
  async up(untyped: Kysely<unknown>): Promise<void> {
    const db = untyped.withTables<TablesThen>();
    await db.schema
      .createTable('key_double')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('holders', 'text', (c) => c.notNull())
      .execute();
    const renamed: Renamed = new Map();
    await certificates(db, renamed);
    const owners: Owners = new Map();
    await identities(db, 'device', { renamed, owners });
    await identities(db, 'former_identity', { renamed, owners: new Map() });
    await groups(db);
    await publishers(db);
    for (const [old, canonical] of renamed) await rename(db, old, canonical);
    for (const canonical of new Set(renamed.values())) await note(db, canonical, owners.get(canonical) ?? []);
  },
};

async function certificates(db: Store, renamed: Renamed): Promise<void> {
  const pageAfter = async (serial: string) =>
    db
      .selectFrom('certificate')
      .select(['serial', 'der', 'spki_sha256'])
      .where('serial', '>', serial)
      .orderBy('serial')
      .limit(pageRows)
      .execute();
  for (let page = await pageAfter(''); page.length > 0; page = await pageAfter(page.at(-1)?.serial ?? '')) {
    for (const { serial, der, spki_sha256: old } of page) {
      const canonical = certificateKeyDigest(der);
      if (canonical === undefined || canonical === old) continue;
      await db.updateTable('certificate').set({ spki_sha256: canonical }).where('serial', '=', serial).execute();
      // A device that enrolled by EST is known by its first key.
      renamed.set(old, canonical);
    }
  }
}

async function identities(
  db: Store,
  table: 'device' | 'former_identity',
  { renamed, owners }: { readonly renamed: Renamed; readonly owners: Owners },
): Promise<void> {
  const name = table === 'device' ? ('id as name' as const) : ('device_id as name' as const);
  const rows = await db.selectFrom(table).select([name, 'identity', 'root_sha256']).execute();
  for (const { name: id, identity, root_sha256: old } of rows) {
    const key = keyInIdentity(identity);
    if (key === undefined) continue;
    const canonical = sha256(key.spki);
    if (key.identity !== identity) {
      await db.updateTable(table).set({ identity: key.identity }).where('root_sha256', '=', old).execute();
    }
    owners.set(canonical, [...(owners.get(canonical) ?? []), `device ${id}`]);
    if (canonical !== old) renamed.set(old, canonical);
  }
}

// What a device with a TPM said of its endorsement key never had several forms.
function keyInIdentity(text: string): { readonly spki: Uint8Array; readonly identity: string } | undefined {
  try {
    const identity: unknown = JSON.parse(text);
    if (typeof identity !== 'object' || identity === null) return undefined;
    if ('signingKey' in identity && typeof identity.signingKey === 'string') {
      const spki = canonical(parseBase64url(identity.signingKey, 'signingKey'));
      return { spki, identity: JSON.stringify({ ...identity, signingKey: toBase64url(spki) }) };
    }
    if (!('deviceIdCertificates' in identity) || !Array.isArray(identity.deviceIdCertificates)) return undefined;
    const first: unknown = identity.deviceIdCertificates[0];
    if (typeof first !== 'string') return undefined;
    return { spki: parseForeignCertificate(parseBase64url(first, 'certificate')).spki, identity: text };
  } catch (error) {
    // A row that nobody can read counted as it is, and goes on to.
    if (error instanceof CoreError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function certificateKeyDigest(der: Uint8Array): string | undefined {
  try {
    return sha256(canonical(parseForeignCertificate(der).spki));
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

// Curve parameters that were written out have no canonical form any more; when they came in, they were those of a known curve.
function canonical(spki: Uint8Array): Uint8Array {
  try {
    return canonicalSpki(spki);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return throughItsPoint(spki, error);
  }
}

function throughItsPoint(spki: Uint8Array, cause: CoreError): Uint8Array {
  try {
    const jwk = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({ format: 'jwk' });
    return createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' });
  } catch {
    // The first error names what is wrong with it.
    throw cause;
  }
}

async function groups(db: Store): Promise<void> {
  const rows = await db.selectFrom('enrolment_group').select(['name', 'certificate', 'anchor_sha256']).execute();
  for (const { name, certificate, anchor_sha256: old } of rows) {
    const authority = certificate === null ? undefined : authorityIn(certificate);
    if (authority === undefined || old === null) continue;
    const anchor = sha256(authority.spki);
    const subject = sha256(canonicalName(authority.subject));
    const set = { anchor_sha256: anchor, subject_sha256: subject };
    await db.updateTable('enrolment_group').set(set).where('name', '=', name).execute();
    if (anchor === old) continue;
    for (const column of ['issuer_sha256', 'anchor_sha256'] as const) {
      await db
        .updateTable('device_idevid')
        .set({ [column]: anchor })
        .where(column, '=', old)
        .execute();
    }
  }
}

function authorityIn(der: Uint8Array): Certificate | undefined {
  try {
    return parseForeignCertificate(der);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

// A fingerprint is what signatures name, so it stays; whose key it is shows the alert.
async function publishers(db: Store): Promise<void> {
  const rows = await db.selectFrom('publisher').selectAll().execute();
  const byKey = Map.groupBy(rows, ({ public_key: pem }) => canonicalPem(pem));
  for (const [pem, same] of byKey) {
    if (same.length === 1 || pem === undefined) continue;
    const holders = same.map(({ name, fingerprint }) => `publisher ${name} (${fingerprint.slice(0, 16)})`);
    await db
      .insertInto('key_double')
      .values({ sha256: sha256(Buffer.from(pem)), holders: holders.join(', ') })
      .execute();
  }
}

function canonicalPem(pem: string): string | undefined {
  try {
    const spki = createPublicKey(pem).export({ format: 'der', type: 'spki' });
    return encodePublicKeyPem(createPublicKey({ key: Buffer.from(canonical(spki)), format: 'der', type: 'spki' }));
  } catch {
    // A key that nobody can read signs nothing.
    return undefined;
  }
}

async function rename(db: Store, old: string, canonical: string): Promise<void> {
  const taken = await db.selectFrom('device').select('id').where('root_sha256', '=', canonical).executeTakeFirst();
  if (taken === undefined)
    await db.updateTable('device').set({ root_sha256: canonical }).where('root_sha256', '=', old).execute();
  await db.updateTable('device').set({ next_root_sha256: canonical }).where('next_root_sha256', '=', old).execute();
  await db.updateTable('former_identity').set({ root_sha256: canonical }).where('root_sha256', '=', old).execute();
  const expected = await db.selectFrom('expected_device').select('id').where('root_sha256', '=', canonical).execute();
  if (expected.length === 0)
    await db.updateTable('expected_device').set({ root_sha256: canonical }).where('root_sha256', '=', old).execute();
  const listing = db.selectFrom('enrolment_listing').select('sha256').where('kind', '=', 'root');
  if ((await listing.where('sha256', '=', canonical).execute()).length === 0) {
    const update = db.updateTable('enrolment_listing').set({ sha256: canonical });
    await update.where('kind', '=', 'root').where('sha256', '=', old).execute();
  }
  // Whoever blocked one form meant the key.
  const blocked = await db.selectFrom('blocked_root').selectAll().where('root_sha256', '=', old).executeTakeFirst();
  if (blocked === undefined) return;
  await db
    .insertInto('blocked_root')
    .values({ ...blocked, root_sha256: canonical })
    .onConflict((conflict) => conflict.column('root_sha256').doNothing())
    .execute();
}

// Everybody who has this key, by the columns that were brought to its form, and by the ones that could not be.
async function note(db: Store, canonical: string, owners: readonly string[]): Promise<void> {
  const former = db.selectFrom('former_identity').select('device_id').where('root_sha256', '=', canonical);
  const certified = db.selectFrom('certificate').select(['device_id', 'workload']).where('spki_sha256', '=', canonical);
  const blocked = db.selectFrom('blocked_root').select('reason').where('root_sha256', '=', canonical);
  const holders = new Set([
    ...owners,
    ...(await former.execute()).map(({ device_id: id }) => `device ${id}`),
    ...(await certified.execute()).map(({ device_id: id, workload }) =>
      workload === null ? `device ${id}` : `workload ${workload} of ${id}`,
    ),
  ]);
  const isBlocked = (await blocked.execute()).length > 0;
  if (holders.size < 2 && !(isBlocked && holders.size > 0)) return;
  const text = [...holders, ...(isBlocked ? ['the list of blocked roots of trust'] : [])].join(', ');
  await db
    .insertInto('key_double')
    .values({ sha256: canonical, holders: text })
    .onConflict((conflict) => conflict.column('sha256').doNothing())
    .execute();
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
