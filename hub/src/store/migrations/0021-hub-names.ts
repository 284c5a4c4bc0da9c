// The names under which clients reach the hub: those in every server certificate that it still knows of. A name that the hub had once is in
// settings of agents and operators for long.
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import { CoreError } from '@edgekeep/core/error';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import type { GeneralName } from '@edgekeep/core/identity/general-name';
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

interface Store {
  readonly hub_certificate: { readonly kind: string; readonly der: Uint8Array; readonly not_before: number };
  readonly hub_name: { readonly name: string; readonly added_at: number };
}

export const migration: Migration = {
  async up(db: Kysely<Store>): Promise<void> {
    await db.schema
      .createTable('hub_name')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('added_at', 'bigint', (column) => column.notNull())
      .execute();
    const rows = await db
      .selectFrom('hub_certificate')
      .select(['der', 'not_before'])
      .where('kind', '=', 'server')
      .orderBy('not_before')
      .execute();
    const names = new Map(rows.flatMap(({ der, not_before: at }) => namesIn(der).map((name) => [name, at] as const)));
    for (const [name, at] of names) await db.insertInto('hub_name').values({ name, added_at: at }).execute();
  },
};

function namesIn(der: Uint8Array): readonly string[] {
  try {
    const { subjectAltName } = parseCertificate(der).extensions;
    return (subjectAltName?.names ?? []).flatMap((name) => textOf(name) ?? []);
  } catch (error) {
    // One that cannot be read stops no upgrade: the names of the settings are added at each start.
    if (!(error instanceof CoreError)) throw error;
    return [];
  }
}

function textOf(name: GeneralName): string | undefined {
  if (name.kind === 'ip') return canonicalHostName(addressText(name.bytes));
  if (name.kind !== 'dns') return undefined;
  const star = name.text.startsWith('*.') ? '*.' : '';
  const host = canonicalHostName(name.text.slice(star.length));
  return host === undefined ? undefined : star + host;
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0));
  return groups.map((group) => group.toString(16)).join(':');
}
