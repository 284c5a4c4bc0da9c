// The blocked addresses, in memory: every new connection is checked before its TLS handshake. The store is the source; every node reads it
// again together with the revocations (revocation/watch.ts).
import { type Address, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';

const lengths = { 4: 32, 6: 128 } as const;

interface OfOneLength {
  readonly family: 4 | 6;
  readonly hostBits: bigint;
  /** By the bits of the prefix: the end of the block, in unix milliseconds. */
  readonly ends: Map<bigint, number>;
}

export class BlockedAddresses {
  readonly #database: Pick<Database, 'read'>;
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];
  #groups: readonly OfOneLength[] = [];

  private constructor(database: Pick<Database, 'read'>, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  static async open(database: Pick<Database, 'read'>, clock: Clock): Promise<BlockedAddresses> {
    const blocked = new BlockedAddresses(database, clock);
    await blocked.reload();
    return blocked;
  }

  has(text: string): boolean {
    if (this.#groups.length === 0) return false;
    const address = parseAddress(text.replace(/%.*$/, ''));
    return address !== undefined && this.#groups.some((group) => isIn(group, address, this.#clock()));
  }

  /** Called after each change: open connections are checked again. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async reload(): Promise<void> {
    const rows = await this.#database.read.selectFrom('address_block').select(['network', 'expires_at']).execute();
    const groups = new Map<string, OfOneLength>();
    for (const { network: text, expires_at: endsAt } of rows) {
      const network = parseNetwork(text);
      if (network === undefined) continue;
      const { family, prefixLength, bits } = network;
      const hostBits = BigInt(lengths[family] - prefixLength);
      const name = `${family} ${prefixLength}`;
      const group = groups.get(name) ?? { family, hostBits, ends: new Map<bigint, number>() };
      group.ends.set(bits >> hostBits, endsAt);
      groups.set(name, group);
    }
    this.#groups = [...groups.values()];
    for (const listener of this.#listeners) listener();
  }
}

function isIn({ family, hostBits, ends }: OfOneLength, address: Address, nowMs: number): boolean {
  return family === address.family && (ends.get(address.bits >> hostBits) ?? 0) > nowMs;
}
