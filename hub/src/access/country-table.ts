// The country of an address, by the operator's own table (spec/access.md, "Network"): the hub asks no external database and ships none.
import {
  type Address,
  canonicalAddress,
  type Network,
  networkContains,
  parseAddress,
  parseNetwork,
} from '@edgekeep/core/canonical/network';
import { appendEntry } from '../audit/append.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { announceDisconnects } from '../revocation/store.ts';
import { inBatches } from '../store/batches.ts';
import type { Database } from '../store/database.ts';
import type { CountryNetworkRow } from '../store/tables/access.ts';

interface Entry {
  readonly network: Network;
  readonly country: string;
}

export class CountryTable {
  readonly #database: Database | undefined;
  /** By family and prefix length, longest first; within each by the network's bits. */
  #byLength: readonly (readonly [Pick<Network, 'family' | 'prefixLength'>, ReadonlyMap<bigint, Entry>])[] = [];

  private constructor(database: Database | undefined) {
    this.#database = database;
  }

  static async open(database: Database): Promise<CountryTable> {
    const table = new CountryTable(database);
    await table.reload();
    return table;
  }

  /** A separate table that is not stored. */
  static of(rows: readonly CountryNetworkRow[]): CountryTable {
    const table = new CountryTable(undefined);
    table.#take(rows);
    return table;
  }

  /** The country of the longest network that contains the address; undefined when no network does. */
  countryOf(address: string): string | undefined {
    const parsed = parseAddress(canonicalAddress(address) ?? '');
    if (parsed === undefined) return undefined;
    for (const [{ family, prefixLength }, entries] of this.#byLength) {
      if (family !== parsed.family) continue;
      const found = entries.get(prefixOf(parsed, prefixLength));
      if (found !== undefined && networkContains(found.network, parsed)) return found.country;
    }
    return undefined;
  }

  async list(): Promise<readonly CountryNetworkRow[]> {
    return this.#store.read.selectFrom('country_network').selectAll().orderBy('network').execute();
  }

  /** Replaces the whole table. A network that is listed twice is kept once. Returns the number of networks. */
  async replace(
    rows: readonly CountryNetworkRow[],
    { actor, nowMs }: { readonly actor: string; readonly nowMs: number },
  ): Promise<number> {
    const unique = [...new Map(rows.map((row) => [row.network, row])).values()];
    await this.#store.write(async (trx) => {
      await trx.deleteFrom('country_network').execute();
      await inBatches(unique, async (some) => {
        await trx.insertInto('country_network').values(some).execute();
        return [];
      });
      const data = { networks: unique.length, sha256: sha256Hex(JSON.stringify(unique)) };
      await appendEntry(trx, { at: nowMs, kind: 'country-networks-changed', actor, subject: 'access', data });
      // This makes the other nodes reload the table.
      await announceDisconnects(trx, []);
    });
    await this.reload();
    return unique.length;
  }

  get #store(): Database {
    if (this.#database === undefined) throw new TypeError('a separate table has no store');
    return this.#database;
  }

  async reload(): Promise<void> {
    this.#take(await this.list());
  }

  #take(rows: readonly CountryNetworkRow[]): void {
    const byLength = new Map<string, [Pick<Network, 'family' | 'prefixLength'>, Map<bigint, Entry>]>();
    for (const { network: text, country } of rows) {
      const network = parseNetwork(text);
      if (network === undefined) continue;
      const { family, prefixLength } = network;
      const name = `${family} ${prefixLength}`;
      const group = byLength.get(name) ?? [{ family, prefixLength }, new Map<bigint, Entry>()];
      group[1].set(prefixOf(network, prefixLength), { network, country });
      byLength.set(name, group);
    }
    this.#byLength = [...byLength.values()].toSorted(([a], [b]) => b.prefixLength - a.prefixLength);
  }
}

function prefixOf({ family, bits }: Address, prefixLength: number): bigint {
  return bits >> BigInt((family === 4 ? 32 : 128) - prefixLength);
}
