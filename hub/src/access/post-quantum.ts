// Groups whose devices need post-quantum protection (spec/access.md, "Post-quantum by group"): no connection and no key where the handshake was
// classical, and no key that is not in a hybrid wrap.
import type { KeyExchange } from '@edgekeep/wire/link/key-exchange';
import type { Reads } from '@edgekeep/core/policy/reads';
import type { Kysely } from 'kysely';
import { raiseAlert } from '../alert/alerts.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { factsOf } from './facts.ts';
import { postQuantumGroups } from './post-quantum-groups.ts';

export interface PostQuantumAsk {
  readonly device: DeviceRecord;
  /** Of the connection. */
  readonly keyExchange: KeyExchange | undefined;
  /** Of a key that is asked for; left out: none is. */
  readonly wrap?: 'hybrid' | 'classical' | undefined;
  readonly nowMs: number;
}

const code = 'post-quantum-required';
const reads: Reads = new Set(['principal.groups']);

export class PostQuantumRule {
  readonly #groups: readonly string[];

  /** `groups`: the setting `access.requirePostQuantum`. */
  constructor(groups: readonly string[]) {
    this.#groups = groups;
  }

  /** All groups of the rule now. */
  async groups(db: Kysely<Tables>): Promise<readonly string[]> {
    return [...new Set([...this.#groups, ...(await postQuantumGroups(db)).groups])];
  }

  /** Throws `post-quantum-required`; a hybrid connection, with a hybrid wrap where a key is asked for, costs no query. */
  async assert(db: Kysely<Tables>, { device, keyExchange, wrap, nowMs }: PostQuantumAsk): Promise<void> {
    if (keyExchange === 'hybrid' && wrap !== 'classical') return;
    const [group] = await this.groupsOf(db, device, nowMs);
    if (group === undefined) return;
    if (keyExchange !== 'hybrid') {
      const message = `group ${group} requires X25519MLKEM768, and this connection has a classical key exchange: update the agent, or what ends TLS before the hub`;
      throw refused('the key exchange of this connection is not post-quantum', message);
    }
    const message = `group ${group} requires hybrid wraps, and this device has no hybrid key here, because its agent has registered none or an operator had it forgotten: update the agent`;
    throw refused('a key for this device would not be post-quantum', message);
  }

  /** The groups of the rule that this device is in now. */
  async groupsOf(db: Kysely<Tables>, device: DeviceRecord, nowMs: number): Promise<readonly string[]> {
    const required = new Set(await this.groups(db));
    if (required.size === 0) return [];
    const facts = await factsOf(db, [device], { wanted: reads, filterGroups: required, nowMs });
    const { groups = [], claimGroups = [] } = facts.get(device.id)?.principal ?? {};
    return [...groups, ...claimGroups].filter((name) => required.has(name));
  }

  /** The same, and an alert about the device when it is refused. */
  async admit(database: Database, ask: PostQuantumAsk): Promise<void> {
    try {
      await this.assert(database.read, ask);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== code) throw error;
      const { device, nowMs } = ask;
      await database.writeAsHub((trx) => alertOf(trx, device.id, error.reasons[0]?.message ?? '', nowMs));
      throw error;
    }
  }
}

function refused(what: string, message: string): HubError {
  return new HubError(code, what, { reasons: [{ code, message }] });
}

async function alertOf(trx: WriteTransaction, deviceId: string, why: string, nowMs: number): Promise<void> {
  await raiseAlert(trx, {
    kind: 'post-quantum-refused',
    severity: 'medium',
    subject: { deviceId },
    title: 'a device was refused: its group requires post-quantum protection, and its connection or its wrap has none',
    data: { why },
    actor: 'hub',
    nowMs,
  });
}
