// Groups whose devices need a hybrid key exchange (spec/access.md, "Post-quantum by group"): where the handshake of the connection was classical,
// they get no connection and no key.
import type { KeyExchange } from '@edgekeep/wire/link/key-exchange';
import type { Reads } from '@edgekeep/core/policy/reads';
import type { Kysely } from 'kysely';
import { raiseAlert } from '../alert/alerts.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { factsOf } from './facts.ts';

export interface PostQuantumAsk {
  readonly device: DeviceRecord;
  readonly keyExchange: KeyExchange | undefined;
  readonly nowMs: number;
}

const reads: Reads = new Set(['principal.groups']);

export class PostQuantumRule {
  readonly #groups: ReadonlySet<string>;

  /** `groups`: the setting `access.requirePostQuantum`. */
  constructor(groups: readonly string[]) {
    this.#groups = new Set(groups);
  }

  /** Throws `post-quantum-required`; a hybrid connection costs no query. */
  async assert(db: Kysely<Tables>, { device, keyExchange, nowMs }: PostQuantumAsk): Promise<void> {
    if (this.#groups.size === 0 || keyExchange === 'hybrid') return;
    const facts = await factsOf(db, [device], { wanted: reads, filterGroups: this.#groups, nowMs });
    const { groups = [], claimGroups = [] } = facts.get(device.id)?.principal ?? {};
    const group = [...groups, ...claimGroups].find((name) => this.#groups.has(name));
    if (group === undefined) return;
    const message = `group ${group} requires X25519MLKEM768, and this connection has a classical key exchange: update the agent, or what ends TLS before the hub`;
    throw new HubError('post-quantum-required', 'the key exchange of this connection is not post-quantum', {
      reasons: [{ code: 'post-quantum-required', message }],
    });
  }

  /** The same, and an alert about the device when it is refused. */
  async admit(database: Database, ask: PostQuantumAsk): Promise<void> {
    try {
      await this.assert(database.read, ask);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== 'post-quantum-required') throw error;
      const { device, nowMs } = ask;
      await database.writeAsHub((trx) => alertOf(trx, device.id, error.reasons[0]?.message ?? '', nowMs));
      throw error;
    }
  }
}

async function alertOf(trx: WriteTransaction, deviceId: string, why: string, nowMs: number): Promise<void> {
  await raiseAlert(trx, {
    kind: 'post-quantum-refused',
    severity: 'medium',
    subject: { deviceId },
    title: 'a device was refused: its group requires a post-quantum key exchange, and its connection has none',
    data: { why },
    actor: 'hub',
    nowMs,
  });
}
