// The witness policy (spec/audit-log.md, "Witness policy"): whose cosignatures count, and how many. The settings give the first one; an
// operator sets later ones, and every version is kept, because receipts name it by digest.
import { isEnough, parseTlogPolicy, type PolicyWitness, type QuorumRule } from '@edgekeep/core/audit/tlog-policy';
import { utf8 } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import type { Kysely } from 'kysely';
import { witnessPolicyRequest } from '@edgekeep/wire/api/audit';
import type { z } from 'zod';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import { appendEntry } from './append.ts';

export type WitnessPolicyDocument = Readonly<z.infer<typeof witnessPolicyRequest>>;

export interface CurrentWitnessPolicy extends WitnessPolicyDocument {
  /** 0: the settings. */
  readonly version: number;
  /** SHA-256 of the canonical document, hex. */
  readonly digest: string;
  readonly rule: QuorumRule | 'none';
  /** Of the text: witnesses besides the fleet. */
  readonly others: readonly PolicyWitness[];
}

/** The group of the fleet's own witnesses. */
export const fleetName = 'fleet';
const fleetRule: QuorumRule = { kind: 'witness', name: fleetName };

/** A device as a witness. */
export interface WitnessStanding {
  readonly tier: string;
  /** Devices with the same origin count once; empty: the device counts for itself. */
  readonly origin: string;
}

export class WitnessPolicies {
  readonly #database: Pick<Database, 'read' | 'write'>;
  #current: CurrentWitnessPolicy;

  private constructor(database: Pick<Database, 'read' | 'write'>, current: CurrentWitnessPolicy) {
    this.#database = database;
    this.#current = current;
  }

  /** Those of the settings, until `reload` finds that an operator set others. */
  static unread(database: Pick<Database, 'read' | 'write'>, settings: WitnessPolicyDocument): WitnessPolicies {
    return new WitnessPolicies(database, currentWitnessPolicy(0, settings));
  }

  static async open(database: Database, settings: WitnessPolicyDocument): Promise<WitnessPolicies> {
    const policies = WitnessPolicies.unread(database, settings);
    await policies.reload();
    return policies;
  }

  current(): CurrentWitnessPolicy {
    return this.#current;
  }

  /** Sets the next version, with its entry. Throws `request-invalid` for a policy that nothing could ever meet, or that is no policy. */
  async set(
    document: WitnessPolicyDocument,
    { actor, nowMs }: { readonly actor: string; readonly nowMs: number },
  ): Promise<CurrentWitnessPolicy> {
    const checked = currentWitnessPolicy(0, document);
    await this.#database.write(async (trx) => {
      const version = ((await newest(trx))?.version ?? 0) + 1;
      const row = { version, document: documentText(document), applied_at: nowMs, applied_by: actor };
      await trx.insertInto('witness_policy').values(row).execute();
      const { quorum, tiers, whenUnmet, text } = document;
      const data = { version, digest: checked.digest, quorum, tiers: [...tiers], whenUnmet, grouped: text !== null };
      await appendEntry(trx, { at: nowMs, kind: 'witness-policy-set', actor, subject: 'witness-policy', data });
    });
    await this.reload();
    return this.#current;
  }

  /** Another node may have set one. */
  async reload(): Promise<void> {
    const found = await newest(this.#database.read);
    if (found !== undefined && found.version > this.#current.version) this.#current = found;
  }

  /** Whether what this node knows is what the store says, in the transaction that acts on it. */
  async isCurrent(trx: WriteTransaction): Promise<boolean> {
    const [row] = await newestVersion(trx, {});
    return (row?.version ?? 0) === this.#current.version;
  }

  /** Whether cosignatures of these devices are enough; `missing` are witnesses besides the fleet that were asked and have not cosigned. */
  isMet(cosigned: Cosigners, missing: ReadonlySet<string> = new Set()): boolean {
    return isPolicyMet(this.#current, cosigned, missing);
  }

  independent(cosigned: Cosigners): number {
    return independentIn(this.#current, cosigned);
  }

  /** Whether the fleet could meet the policy for a key that this device receives. */
  async isReachable(db: Kysely<Tables>, receiver: string): Promise<boolean> {
    return isMetBy(this.#current, (await this.available(db, receiver)) >= this.#current.quorum);
  }

  /** How many independent witnesses the fleet has, besides the receiver; at most as many as are asked for. */
  async available(db: Kysely<Tables>, receiver: string): Promise<number> {
    const { quorum, tiers } = this.#current;
    if (quorum === 0 || tiers.length === 0) return 0;
    const rows = await db
      .selectFrom('device')
      .select((q) =>
        q.case().when('witness_origin', '=', '').then(q.ref('id')).else(q.ref('witness_origin')).end().as('origin'),
      )
      .distinct()
      .where('id', '<>', receiver)
      .where('witness_key', '<>', '')
      .where('state', 'in', ['registered', 'active'])
      .where('disabled_reason', 'is', null)
      .where('tier', 'in', tiers)
      .limit(quorum)
      .execute();
    return rows.length;
  }
}

/** Devices that cosigned one checkpoint. */
export type Cosigners = Iterable<readonly [deviceId: string, standing: WitnessStanding]>;

function isPolicyMet(policy: CurrentWitnessPolicy, cosigned: Cosigners, missing: ReadonlySet<string>): boolean {
  return isMetBy(policy, independentIn(policy, cosigned) >= policy.quorum, missing);
}

/** How many of them count. */
function independentIn({ tiers }: CurrentWitnessPolicy, cosigned: Cosigners): number {
  const origins = new Set<string>();
  for (const [deviceId, { tier, origin }] of cosigned)
    if (tiers.some((each) => each === tier)) origins.add(origin === '' ? `device ${deviceId}` : origin);
  return origins.size;
}

// Others than devices that this hub does not ask may cosign at any time: their own operators see to that.
function isMetBy(
  { rule, others }: CurrentWitnessPolicy,
  fleet: boolean,
  missing: ReadonlySet<string> = new Set(),
): boolean {
  const names = others.filter(({ key }) => !missing.has(key.name)).map(({ name }) => name);
  return isEnough(rule, new Set([...(fleet ? [fleetName] : []), ...names]));
}

const newestVersion = prepared<object, { version: number | null }>((db) =>
  db.selectFrom('witness_policy').select((q) => q.fn.max('version').as('version')),
);

async function newest(db: Kysely<Tables> | WriteTransaction): Promise<CurrentWitnessPolicy | undefined> {
  const row = await db.selectFrom('witness_policy').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst();
  return row && currentWitnessPolicy(row.version, witnessPolicyRequest.parse(JSON.parse(row.document)));
}

/** Reads a document; throws as `set`. */
function currentWitnessPolicy(version: number, document: WitnessPolicyDocument): CurrentWitnessPolicy {
  const { quorum, text } = document;
  const digest = sha256Hex(documentText(document));
  if (text === null) {
    return { ...document, version, digest, rule: quorum === 0 ? 'none' : fleetRule, others: [] };
  }
  const { witnesses, quorum: rule, logs } = parseTlogPolicy(utf8(text), [fleetRule]);
  if (logs.length > 0) throw invalid('the log of this policy is this hub’s: leave its line out');
  const taken = witnesses.find(({ name }) => name.startsWith('device/') || name.startsWith('token/'));
  if (taken !== undefined) throw invalid(`the names device/… and token/… are the fleet's own: ${taken.name}`);
  if (quorum === 0 && usesFleet(rule)) throw invalid('with a quorum of 0 the group fleet has no members that count');
  return { ...document, version, digest, rule, others: witnesses };
}

function usesFleet(rule: QuorumRule | 'none'): boolean {
  if (rule === 'none') return false;
  return rule.kind === 'witness' ? rule.name === fleetName : rule.members.some(usesFleet);
}

function documentText({ quorum, tiers, whenUnmet, text }: WitnessPolicyDocument): string {
  const document = { quorum, tiers: tiers.toSorted(), whenUnmet, text };
  return Buffer.from(encodeCanonicalJson(document)).toString('utf8');
}

function invalid(message: string): HubError {
  return new HubError('request-invalid', `witness policy: ${message}`);
}
