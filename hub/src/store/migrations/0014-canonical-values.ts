// Values that were stored before each had one form (docs/design/identities.md): networks and texts get theirs. Where two rows turn out to be one
// and say different things, the one that counted so far stays, and `value_double` notes it; the hub raises an alert from there at its next start.
import { canonicalText, textProblem } from '@edgekeep/core/canonical/text';
import { canonicalNetwork } from '@edgekeep/core/canonical/network';
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

type TablesThen = {
  value_double: { kind: string; value: string; detail: string };
  site: { name: string; networks: string };
  country_network: { network: string; country: string };
  device_tag: { device_id: string; key: string; value: string };
  device_attribute: { device_id: string; side: string; path: string; text_value: string | null };
  enrolment_group: { name: string; terms: string };
};

export const migration: Migration = {
  async up(untyped: Kysely<unknown>): Promise<void> {
    const db = untyped.withTables<TablesThen>();
    await db.schema
      .createTable('value_double')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('detail', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('value_double_key', ['kind', 'value'])
      .execute();
    await siteNetworks(db);
    await countryNetworks(db);
    await tags(db);
    await attributes(db);
    await groupTags(db);
  },
};

type Store = Kysely<TablesThen>;

async function siteNetworks(db: Store): Promise<void> {
  for (const { name, networks } of await db.selectFrom('site').select(['name', 'networks']).execute()) {
    const each = networks.split(' ').filter((text) => text !== '');
    const canonical = [...new Set(each.map((text) => canonicalNetwork(text) ?? text))].join(' ');
    if (canonical !== networks) {
      await db.updateTable('site').set({ networks: canonical }).where('name', '=', name).execute();
    }
  }
}

async function countryNetworks(db: Store): Promise<void> {
  const rows = await db.selectFrom('country_network').selectAll().orderBy('network').execute();
  const byNetwork = new Map<string, { readonly country: string; readonly written: string[] }>();
  for (const { network, country } of rows) {
    const canonical = canonicalNetwork(network) ?? network;
    const written = [...(byNetwork.get(canonical)?.written ?? []), `${network} ${country}`];
    // Of rows that mean one network, the last in this order was the one in force.
    byNetwork.set(canonical, { country, written });
  }
  for (const [network, { country, written }] of byNetwork) {
    const [only] = written;
    if (written.length === 1 && only === `${network} ${country}`) continue;
    const spellings = written.map((text) => text.slice(0, text.indexOf(' ')));
    await db.deleteFrom('country_network').where('network', 'in', spellings).execute();
    await db.insertInto('country_network').values({ network, country }).execute();
    if (written.every((text) => text.endsWith(` ${country}`))) continue;
    const detail = `${written.join(', ')}: ${country} was in force and stays`;
    await db.insertInto('value_double').values({ kind: 'country-network', value: network, detail }).execute();
  }
}

const rowsAtOnce = 5_000;

async function tags(db: Store): Promise<void> {
  let after = { device_id: '', key: '' };
  for (;;) {
    const { device_id: id, key } = after;
    const rows = await db
      .selectFrom('device_tag')
      .selectAll()
      .where((q) => q.or([q('device_id', '>', id), q.and([q('device_id', '=', id), q('key', '>', key)])]))
      .orderBy('device_id')
      .orderBy('key')
      .limit(rowsAtOnce)
      .execute();
    for (const row of rows) {
      const value = keptText(row.value);
      if (value === row.value) continue;
      const at = db.updateTable('device_tag').set({ value });
      await at.where('device_id', '=', row.device_id).where('key', '=', row.key).execute();
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsAtOnce) return;
    after = last;
  }
}

// The documents stay as they were written; what filters compare gets the one form.
async function attributes(db: Store): Promise<void> {
  let after = { device_id: '', side: '', path: '' };
  for (;;) {
    const { device_id: id, side, path } = after;
    const rows = await db
      .selectFrom('device_attribute')
      .select(['device_id', 'side', 'path', 'text_value'])
      .where((q) =>
        q.or([
          q('device_id', '>', id),
          q.and([q('device_id', '=', id), q('side', '>', side)]),
          q.and([q('device_id', '=', id), q('side', '=', side), q('path', '>', path)]),
        ]),
      )
      .orderBy('device_id')
      .orderBy('side')
      .orderBy('path')
      .limit(rowsAtOnce)
      .execute();
    for (const row of rows) {
      const value = row.text_value === null ? null : canonicalText(row.text_value);
      if (value === row.text_value) continue;
      await db
        .updateTable('device_attribute')
        .set({ text_value: value })
        .where('device_id', '=', row.device_id)
        .where('side', '=', row.side)
        .where('path', '=', row.path)
        .execute();
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsAtOnce) return;
    after = last;
  }
}

// Tags that an enrolment group gives: texts that would be refused now must not keep its devices out.
async function groupTags(db: Store): Promise<void> {
  for (const { name, terms } of await db.selectFrom('enrolment_group').select(['name', 'terms']).execute()) {
    const document: unknown = JSON.parse(terms);
    const cleaned = JSON.stringify(mapped(document));
    if (cleaned !== terms) {
      await db.updateTable('enrolment_group').set({ terms: cleaned }).where('name', '=', name).execute();
    }
  }
}

function mapped(value: unknown): unknown {
  if (typeof value === 'string')
    return textProblem(value, { lines: true }) === undefined ? value.normalize('NFC') : keptText(value);
  if (Array.isArray(value)) return value.map(mapped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapped(member)]));
}

const REPLACEMENT = '\ufffd';

// A text that would be refused today keeps its place, with a mark for each character that cannot be seen.
function keptText(text: string): string {
  const shown = Array.from(text.toWellFormed(), (each) => (textProblem(each) === undefined ? each : REPLACEMENT)).join(
    '',
  );
  return canonicalText(shown) || REPLACEMENT;
}
