// The names under which TLS clients reach this hub, now and formerly, and the rule that nothing else carries one (spec/certificates.md, "Names
// that are hosts"). Read in the transaction that names something, so a later setting of the hub counts at once.
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { isUnspecified, parseHost } from '@edgekeep/core/canonical/host';
import { type HostLikeness, hostLikeness } from '@edgekeep/core/canonical/host-like';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from './database.ts';
import type { Tables } from './schema.ts';

/** What can carry a name. */
export type Named = 'device' | 'workload' | 'person';

/** The names in these settings. */
export function namesInSettings({
  names,
  publicUrl,
}: {
  readonly names: readonly string[];
  readonly publicUrl: string | null;
}): readonly string[] {
  const shown = publicUrl === null ? [] : [parseWebAddress(publicUrl).host];
  return [...new Set([...names, ...shown])];
}

/** The first name by which a client can reach this hub: a wildcard and the address of a listener on all interfaces are none. */
export function reachableName(names: readonly string[]): string | undefined {
  return names.find((name) => !name.startsWith('*.') && !isUnspecified(parseHost(name)));
}

/** Adds the names that are not known yet, for ever; returns them. The caller writes the audit entry. */
export async function rememberHubNames(
  trx: WriteTransaction,
  names: readonly string[],
  nowMs: number,
): Promise<readonly string[]> {
  const known = await hubNamesOf(trx);
  const added = names.filter((name) => !known.includes(name));
  for (const name of added) await trx.insertInto('hub_name').values({ name, added_at: nowMs }).execute();
  return added;
}

export async function hubNamesOf(db: Kysely<Tables>): Promise<readonly string[]> {
  const rows = await db.selectFrom('hub_name').select('name').execute();
  return rows.map(({ name }) => name);
}

/** Why this cannot have the name; undefined when it can. `hubNames` are those of `hubNamesOf`. */
export function reservedText(named: Named, name: string, hubNames: readonly string[]): string | undefined {
  const likeness = hostLikeness(name, hubNames);
  // A serial number or an employee's number is no address to a reader of certificates for clients.
  if (likeness === undefined || (likeness === 'number' && named !== 'workload')) return undefined;
  return `${JSON.stringify(name)} is ${likenessTexts[likeness]}: no ${named} has such a name, so that nobody takes it for the host`;
}

const likenessTexts: Readonly<Record<HostLikeness, string>> = {
  hub: 'a name of this hub, or was one',
  loopback: 'the name of each machine itself',
  address: 'an IP address',
  number: 'an IP address to some resolvers',
};

/** As `reservedText`, with the names of this store. */
export async function reservedProblem(db: Kysely<Tables>, named: Named, name: string): Promise<string | undefined> {
  return reservedText(named, name, await hubNamesOf(db));
}

/** Throws `name-reserved` for a name that a TLS reader could take for a host's. */
export async function assertNoHost(trx: WriteTransaction, named: Named, name: string): Promise<void> {
  const problem = await reservedProblem(trx, named, name);
  if (problem !== undefined) throw new HubError('name-reserved', problem);
}
