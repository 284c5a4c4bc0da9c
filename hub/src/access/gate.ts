// Where the policy is asked (spec/access.md, "When the policy is asked"): connections, attestations, keys, files, reports, commands, and requests
// of operators. Facts that the policy does not use are not read, so a policy that permits an action to everybody adds no cost to it.
import { cutText } from '@edgekeep/core/canonical/printable';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Decision, Policy } from '@edgekeep/core/policy/policy';
import type { Question, Resource } from '@edgekeep/core/policy/question';
import { looksAt } from '@edgekeep/core/policy/reads';
import { uidOfResource } from '@edgekeep/core/policy/request';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import type { Kysely } from 'kysely';
import { LruMap } from 'toad-cache';
import { appendEntry } from '../audit/append.ts';
import { HubError, type Reason } from '../common/error.ts';
import { type Connections, cutOne, type DeviceConnection } from '../presence/connections.ts';
import { presenceOf } from '../presence/read.ts';
import { getDevice } from '../registry/states.ts';
import { actingNow } from '../store/authority.ts';
import { groupsOfModel } from '../model/groups-of-model.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import type { Caller } from '../people/api-token.ts';
import { decidedBy, factsNow } from './decided-by.ts';
import { deviceQuestion, type RequestEnvironment, operatorQuestion } from './context.ts';
import type { CountryTable } from './country-table.ts';
import type { DecisionLog } from './decision-log.ts';
import { factsOf, type FactPaths } from './facts.ts';
import type { CurrentPolicy, PolicyStore } from './policy-store.ts';
import type { PostQuantumRule } from './post-quantum.ts';
import type { Traffic } from './traffic.ts';

export interface GateDependencies {
  readonly database: Database;
  readonly policies: PolicyStore;
  readonly connections: Connections;
  readonly traffic: Traffic;
  readonly countries: CountryTable;
  readonly decisions: DecisionLog;
  /** Left out: no group requires it. */
  readonly postQuantum?: PostQuantumRule;
}

export interface DeviceAsk {
  readonly action: DeviceAction;
  readonly deviceId: string;
  /** As read for this request; left out: read here. */
  readonly device?: DeviceRecord;
  readonly resource?: Resource;
  readonly connection: DeviceConnection;
  /** Of the evidence in this request. */
  readonly appraisal?: Appraisal;
  readonly workload?: { readonly id: string; readonly name: string };
  /** The answer has a lasting effect: the facts that the policy uses are read again in the transaction that records it. */
  readonly lasting?: true;
  readonly nowMs: number;
}

/** A device that asks for a key. */
export interface WrapAsk {
  readonly device: DeviceRecord;
  readonly connection: DeviceConnection;
  readonly nowMs: number;
}

type WrapKind = 'hybrid' | 'classical';

export interface GateDecision {
  readonly policy: CurrentPolicy;
  readonly decision: Decision;
}

// An audit entry has at most 8 KiB.
const LOGGED_REASONS_MAX = 4;
const LOGGED_MESSAGE_MAX = 600;
// A principal that is refused repeatedly for one reason is logged once in this time.
const loggedAgainMs = 600_000;
// The number of connections whose devices one statement can name.
const recheckedAtOnce = 250;
const REFUSALS_REMEMBERED_MAX = 20_000;

const refusedByGate: ReadonlySet<string> = new Set(['access-refused', 'post-quantum-required']);

/** Once for each connection, resource and policy: a question that repeats is recorded only when the answer changes. */
type Judged = Map<string, string>;

export class AccessGate {
  readonly #dependencies: GateDependencies;
  readonly #judged = new WeakMap<DeviceConnection, Judged>();
  readonly #refusedAt = new LruMap<number>(REFUSALS_REMEMBERED_MAX);

  constructor(dependencies: GateDependencies) {
    this.#dependencies = dependencies;
  }

  /** Admits a device or throws `access-refused`, and logs a refusal. A question that repeats is recorded when it is new. */
  async admit(ask: DeviceAsk): Promise<void> {
    await this.assertKeyExchange(ask);
    let before = await this.#decidedBy(ask);
    let judged = await this.judge({ ...ask, ...before.device });
    // Another policy may have come into force in the meantime.
    while (judged.policy !== this.#dependencies.policies.current() || judged.policy !== before.policy) {
      before = await this.#decidedBy(ask);
      judged = await this.judge({ ...ask, ...before.device });
    }
    const { policy, decision } = judged;
    if (decision.kind === 'permitted') {
      const topic = JSON.stringify([ask.action, ask.deviceId, ask.workload?.id, uidOfResource(resourceOf(ask)).id]);
      // The facts are read again too: a new policy must not decide by old facts.
      const { device: _, ...anew } = ask;
      this.#permit(topic, policy.version, () => this.admit(anew), before.factsStand);
      return;
    }
    await this.refused(`device:${ask.deviceId}`, ask.action, policy.version, decision, ask.nowMs);
    throw refusalOf(ask.action, policy.version, decision.reasons);
  }

  // The facts that the policy in force uses, where the answer has a lasting effect; the device as it was read for them.
  async #decidedBy(ask: DeviceAsk) {
    const policy = this.#dependencies.policies.current();
    if (ask.lasting !== true || policy.policy.reads(ask.action).size === 0) return { policy, device: {} };
    const { action, deviceId, connection, resource, nowMs } = ask;
    const model = resource?.kind === 'model' ? resource.name : undefined;
    const about = () => {
      const country = this.countryOf(connection.remoteAddress);
      return { action, deviceId, model, country, nowMs };
    };
    const { device, facts } = await decidedBy(this.#dependencies.database.read, policy.policy, about());
    const factsStand = async (db: Kysely<Tables>) => (await factsNow(db, policy.policy, about())) === facts;
    return { policy, device: { device }, factsStand };
  }

  /** Throws `post-quantum-required`, with an alert, where a group of the device requires another key exchange than its connection has. */
  async assertKeyExchange({ deviceId, device, connection, nowMs }: DeviceAsk): Promise<void> {
    const { database, postQuantum } = this.#dependencies;
    const { keyExchange } = connection;
    if (postQuantum === undefined || keyExchange === 'hybrid') return;
    const row = device ?? (await getDevice(database.read, deviceId));
    await postQuantum.admit(database, { device: row, keyExchange, nowMs });
  }

  /** The same for a key in this form of wrap, which a group may require to be hybrid. */
  async assertWrap({ device, connection: { keyExchange }, nowMs }: WrapAsk, wrap: WrapKind): Promise<void> {
    const { database, postQuantum } = this.#dependencies;
    await postQuantum?.admit(database, { device, keyExchange, wrap, nowMs });
  }

  /** Both in the transaction that records a key. */
  async protectionStands(
    db: Kysely<Tables>,
    { deviceId, connection: { keyExchange }, nowMs }: Pick<DeviceAsk, 'deviceId' | 'connection' | 'nowMs'>,
    wrap: WrapKind,
  ): Promise<void> {
    const { postQuantum } = this.#dependencies;
    if (postQuantum === undefined || (keyExchange === 'hybrid' && wrap === 'hybrid')) return;
    await postQuantum.assert(db, { device: await getDevice(db, deviceId), keyExchange, wrap, nowMs });
  }

  /** As `admit`, for a response that only leaves out a part after a refusal. */
  async permits(ask: DeviceAsk): Promise<boolean> {
    try {
      await this.admit(ask);
      return true;
    } catch (error) {
      if (error instanceof HubError && refusedByGate.has(error.code)) return false;
      throw error;
    }
  }

  /** The policy in force, for a caller that reads the facts it needs together with its own data. */
  policyNow(): CurrentPolicy {
    return this.#dependencies.policies.current();
  }

  countryOf(address: string): ReturnType<CountryTable['countryOf']> {
    return this.#dependencies.countries.countryOf(address);
  }

  /** Decides and records the decision. */
  async judge(ask: DeviceAsk): Promise<GateDecision> {
    const { action, connection, nowMs } = ask;
    const resource = resourceOf(ask);
    const current = this.#dependencies.policies.current();
    const judged = this.#judged.get(connection) ?? new Map<string, string>();
    this.#judged.set(connection, judged);
    const topic = JSON.stringify([action, ask.deviceId, ask.workload?.id, uidOfResource(resource).id]);
    const known = judged.get(topic);
    // A draft may need every fact, so all of them are recorded once per connection; after that the facts that the policy uses are enough.
    const first = known?.startsWith(`${current.version} `) !== true;
    const reads = current.policy.reads(action);
    if (!first && reads.size === 0 && known === `${current.version} permitted`) {
      return { policy: current, decision: { kind: 'permitted', statements: [] } };
    }
    const device = ask.device ?? (await getDevice(this.#dependencies.database.read, ask.deviceId));
    const wanted = first ? 'all' : reads;
    const { read } = this.#dependencies.database;
    const about = await withGroups(read, resource, wanted);
    const modelGroups = about.kind === 'model' ? about.groups : [];
    const filterGroups = new Set([...current.policy.groups, ...modelGroups]);
    const facts = await factsOf(read, [device], { wanted, filterGroups, nowMs });
    const own = facts.get(device.id);
    if (own === undefined) throw new HubError('device-unknown', `no device ${device.id}`);
    const moment = {
      ...this.momentOf(connection, device.id, ask.appraisal, nowMs),
      ...(await this.#elsewhere(device.id, wanted, nowMs)),
    };
    const question = deviceQuestion(action, own, about, moment, ask.workload);
    // The policy may have changed while the facts were read: the one in force now decides.
    const policy = this.#dependencies.policies.current();
    const decision = policy.policy.decide(question);
    const verdict = `${policy.version} ${decision.kind}`;
    if (first || known !== verdict) {
      judged.set(topic, verdict);
      this.#dependencies.decisions.note(`device:${device.id}`, question, decision, policy.version, nowMs);
    }
    return { policy, decision };
  }

  // Counts connections on every node, where the policy uses the count.
  async #elsewhere(
    deviceId: string,
    wanted: FactPaths,
    nowMs: number,
  ): Promise<Pick<RequestEnvironment, 'presence'> | undefined> {
    const looks = wanted === 'all' || looksAt(wanted, 'context.presence') || looksAt(wanted, 'context.health');
    if (!looks) return undefined;
    const { sessions: places, elsewhere } = await presenceOf(this.#dependencies.database.read, deviceId, nowMs);
    return { presence: { elsewhere, connections: places.length } };
  }

  /** Admits an operator or throws `access-refused`. Scopes were checked before: a policy only narrows them. */
  async administer(
    caller: Caller,
    request: { readonly address: string; readonly scope: string; readonly changes: boolean; readonly nowMs: number },
  ): Promise<void> {
    const { nowMs, changes } = request;
    const current = this.#dependencies.policies.current();
    const question = this.operatorQuestion(caller, request);
    const decision = current.policy.decide(question);
    // Reads happen all day. A draft is tried on changes and on refusals.
    if (changes || decision.kind === 'refused') {
      this.#dependencies.decisions.note(caller.actor, question, decision, current.version, nowMs);
    }
    if (decision.kind === 'permitted') {
      this.#permit(caller.actor, current.version, () => this.administer(caller, request));
      return;
    }
    await this.refused(caller.actor, 'administer', current.version, decision, nowMs);
    throw refusalOf('administer', current.version, decision.reasons);
  }

  // The writes of this request depend on this permit: if another policy comes into force first, it is asked.
  #permit(
    topic: string,
    version: number,
    ask: () => Promise<void>,
    factsStand?: (db: Kysely<Tables>) => Promise<boolean>,
  ): void {
    const askAgain = async () => {
      await this.#dependencies.policies.reload();
      await ask();
    };
    actingNow()?.permit(topic, { version, askAgain, ...(factsStand !== undefined && { factsStand }) });
  }

  operatorQuestion(
    caller: Pick<Caller, 'person' | 'roles' | 'scopes' | 'actor'>,
    request: { readonly address: string; readonly scope: string; readonly changes: boolean; readonly nowMs: number },
  ): Question {
    return operatorQuestion(caller, { ...request, country: this.#dependencies.countries.countryOf(request.address) });
  }

  /** The facts of a connection now. For a device that is not connected, the address is the one it is assumed to have. */
  momentOf(
    connection: Pick<DeviceConnection, 'remoteAddress'>,
    deviceId: string,
    appraisal: Appraisal | undefined,
    nowMs: number,
  ): RequestEnvironment {
    const { connections, traffic, countries } = this.#dependencies;
    const address = connection.remoteAddress;
    const bound = [...connections.bound(deviceId)];
    // Contested: the connection was used while another client claimed the same identity, on this node or on another (spec/presence.md).
    const elsewhere = bound.some(
      (other) => other.session?.contested === true || (other !== connection && other.remoteAddress !== address),
    );
    return {
      address,
      country: countries.countryOf(address),
      presence: { elsewhere, connections: bound.length },
      traffic: traffic.of(deviceId, nowMs),
      appraisal,
      nowMs,
    };
  }

  /** Asks the policy again for every live connection and closes those that it no longer permits. Returns the number closed. */
  async recheck(nowMs: number): Promise<number> {
    const { connections, policies } = this.#dependencies;
    const live = [...connections.bound()];
    let closed = 0;
    for (let from = 0; from < live.length; from += recheckedAtOnce) {
      const { policy } = policies.current();
      const some = live.slice(from, from + recheckedAtOnce);
      for (const connection of await this.#suspects(some, policy, nowMs)) {
        if (await this.#stillPermitted(connection, nowMs)) continue;
        cutOne(connection);
        closed += 1;
      }
      // Where the policy uses no facts, one answer holds for everybody.
      if (from === 0 && closed === 0 && policy.reads('connect').size === 0) return 0;
    }
    return closed;
  }

  /** Throws `access-refused` on a bound connection that is no longer permitted; the device must bind it again. */
  async stayed(connection: DeviceConnection, nowMs: number): Promise<void> {
    const { certificate, bound } = connection;
    if (!bound || certificate === undefined) return;
    try {
      await this.admit({ action: 'connect', deviceId: certificate.deviceId, connection, nowMs });
    } catch (error) {
      this.#dependencies.connections.unbind(connection);
      throw error;
    }
  }

  async #stillPermitted(connection: DeviceConnection, nowMs: number): Promise<boolean> {
    // If the policy could not be asked for any reason, the connection is not permitted.
    return this.stayed(connection, nowMs).then(
      () => true,
      () => false,
    );
  }

  // The connections that the policy does not permit, by the facts that it uses.
  async #suspects(
    some: readonly DeviceConnection[],
    policy: Policy,
    nowMs: number,
  ): Promise<readonly DeviceConnection[]> {
    const { read } = this.#dependencies.database;
    const ids = some.flatMap(({ certificate }) => certificate?.deviceId ?? []);
    const rows = await read.selectFrom('device').selectAll().where('id', 'in', ids).execute();
    const wanted = policy.reads('connect');
    const facts = await factsOf(read, rows, { wanted, filterGroups: policy.groups, nowMs });
    if (this.#dependencies.policies.current().policy !== policy) return some;
    return some.filter((connection) => {
      const own = facts.get(connection.certificate?.deviceId ?? '');
      if (own === undefined) return true;
      const moment = this.momentOf(connection, own.row.id, undefined, nowMs);
      return policy.decide(deviceQuestion('connect', own, { kind: 'hub' }, moment)).kind === 'refused';
    });
  }

  /** Logs a refusal; the same refusal is logged again only after a while. */
  async refused(
    principal: string,
    action: string,
    policyVersion: number,
    decision: Extract<Decision, { kind: 'refused' }>,
    nowMs: number,
  ): Promise<void> {
    const cause = `${principal} ${action} ${policyVersion} ${decision.statements.join(' ')}`;
    const before = this.#refusedAt.get(cause);
    // If the clock was set back, logging does not pause until it has caught up.
    if (before !== undefined && Math.abs(nowMs - before) < loggedAgainMs) return;
    this.#refusedAt.set(cause, nowMs);
    const data = {
      action,
      policyVersion,
      statements: [...decision.statements].slice(0, 16),
      reasons: loggedReasons(decision.reasons),
    };
    await this.#dependencies.database.writeAsHub((trx) =>
      appendEntry(trx, { at: nowMs, kind: 'access-refused', actor: principal, subject: principal, data }),
    );
  }
}

function resourceOf({ resource = { kind: 'hub' } }: DeviceAsk): Resource {
  return resource;
}

/** A model with the groups that it is for, where the policy uses them. */
async function withGroups(db: Kysely<Tables>, resource: Resource, wanted: FactPaths): Promise<Resource> {
  if (resource.kind !== 'model') return resource;
  if (wanted !== 'all' && !looksAt(wanted, 'resource.groups')) return resource;
  return { ...resource, groups: [...(await groupsOfModel(db, resource.name))] };
}

/** The reasons in the form that an audit entry holds. */
export function loggedReasons(reasons: readonly Reason[]): { code: string; message: string }[] {
  const first = reasons.slice(0, LOGGED_REASONS_MAX);
  return first.map(({ code, message }) => ({ code, message: cutText(message, LOGGED_MESSAGE_MAX) }));
}

function refusalOf(action: string, version: number, reasons: readonly Reason[]): HubError {
  return new HubError('access-refused', `policy ${version} does not permit ${action}`, { reasons });
}
