// What a draft would change (spec/access.md, "Simulation"). Replays recorded decisions and asks about the present fleet, with the policy in
// force and with the draft. Memory does not grow with the fleet: only counts and the first names are kept.
import type { Decision, Policy } from '@edgekeep/core/policy/policy';
import { type Question, questionSchema, type Resource } from '@edgekeep/core/policy/question';
import { looksAt, type Reads } from '@edgekeep/core/policy/reads';
import { type DeviceAction, deviceActions } from '@edgekeep/core/policy/schema';
import type { AccessChange, Simulation } from '@edgekeep/wire/api/policy';
import type { DeviceConnection } from '../presence/connections.ts';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { groupsOfModel } from '../model/groups-of-model.ts';
import { findCaller } from '../people/api-token.ts';
import { Pause } from './pause.ts';
import { deviceQuestion, type RequestEnvironment } from './context.ts';
import { type DeviceFacts, factsOf } from './facts.ts';
import type { AccessGate, GateDependencies } from './gate.ts';
import { FleetPostQuantum, postQuantumStatement, type RuleRefusal } from './post-quantum-fleet.ts';
import { FleetPublishers } from './publisher-fleet.ts';

export interface SimulationOrder {
  readonly last: number;
  readonly fleet: boolean;
  readonly names: number;
  readonly nowMs: number;
  /** The draft is asked with these facts in place of the present ones. */
  readonly change?: ((question: Question) => Question) | undefined;
}

// Devices are read in pages that one statement can hold.
const PAGE_MAX = 500;
// Asks for this long without a pause; then other work gets its turn.
const sliceMs = 5;
// Models are asked about one by one; a hub has only a few.
const MODELS_MAX = 20;

/** `draft` is loaded; the policy in force is the one at this moment. */
export async function simulate(
  dependencies: GateDependencies,
  gate: AccessGate,
  draft: Policy,
  order: SimulationOrder,
): Promise<Simulation> {
  const { version, claimGroups } = dependencies.policies.current();
  // A separate copy: the policy in force may be replaced meanwhile.
  using current = dependencies.policies.copy();
  const errors = new Errors();
  const pause = new Pause(sliceMs);
  const { change = (question: Question) => question } = order;
  const replayed = new Trial(current, draft, order.names, errors, change);
  for await (const rows of dependencies.decisions.newest(order.last)) {
    for (const { principal, question } of rows) {
      const parsed = questionSchema.safeParse(JSON.parse(question));
      if (parsed.success) replayed.ask(principal, withClaimGroups(parsed.data, claimGroups));
      await pause.due();
    }
  }
  const fleet = new Trial(current, draft, order.names, errors, change);
  const counts = { principals: 0, withoutAddress: 0 };
  const publishers = await FleetPublishers.open(
    dependencies.database.read,
    await currentModels(dependencies.database.read),
  );
  const postQuantum = await FleetPostQuantum.open(dependencies.database.read, dependencies.postQuantum, order.names);
  if (order.fleet) {
    const compared = { draft, current, publishers, postQuantum, nowMs: order.nowMs, pause };
    await askDevices(dependencies, gate, fleet, compared, counts);
    await askOperators(dependencies, gate, fleet, order.nowMs, counts);
  }
  return {
    policyVersion: version,
    digest: draft.digest,
    claims: claimViewOf(draft),
    replayed: replayed.result(),
    fleet: { ...fleet.result(), principals: counts.principals, withoutAddress: counts.withoutAddress },
    publishers: publishers.result(),
    postQuantum: postQuantum.result(),
    errors: errors.result(),
  };
}

/** The statements about keys and connections that rest on what devices say of themselves, as the API shows them. */
export function claimViewOf({ claims }: Pick<Policy, 'claims'>): Simulation['claims'] {
  return claims.map(({ statement, claims: names, actions, named }) => ({
    statement,
    claims: [...names],
    actions: [...actions],
    named,
  }));
}

// A hub of the version before recorded claim groups among the others.
function withClaimGroups(question: Question, known: ReadonlySet<string>): Question {
  const { principal } = question;
  if (principal.kind !== 'device' || !principal.groups.some((name) => known.has(name))) return question;
  const groups = principal.groups.filter((name) => !known.has(name));
  const claimGroups = [...principal.claimGroups, ...principal.groups.filter((name) => known.has(name))];
  return { ...question, principal: { ...principal, groups, claimGroups } };
}

interface Compared {
  readonly draft: Policy;
  readonly current: Policy;
  readonly publishers: FleetPublishers;
  readonly postQuantum: FleetPostQuantum;
  readonly nowMs: number;
  readonly pause: Pause;
}

interface Counts {
  principals: number;
  withoutAddress: number;
}

async function askDevices(
  dependencies: GateDependencies,
  gate: AccessGate,
  trial: Trial,
  { draft, current, publishers, postQuantum, nowMs, pause }: Compared,
  counts: Counts,
): Promise<void> {
  const { read } = dependencies.database;
  const all = await resourcesOf(read);
  // Where neither policy uses the model, the answer for one model holds for all.
  const looksAtModels = (action: DeviceAction) =>
    looksAt(draft.reads(action), 'resource') || looksAt(current.reads(action), 'resource');
  const resources = (action: DeviceAction, refused: ReadonlySet<string>) => {
    const asked = all(action).filter(
      (resource) => action !== 'releaseKey' || !('name' in resource) || !refused.has(resource.name),
    );
    return looksAtModels(action) ? asked : asked.slice(0, 1);
  };
  const wanted: Reads = new Set([
    ...deviceActions.flatMap((action) => [...draft.reads(action), ...current.reads(action)]),
    ...(postQuantum.groups.length > 0 ? ['principal.groups'] : []),
  ]);
  const modelGroups = all('releaseKey').flatMap((resource) => (resource.kind === 'model' ? resource.groups : []));
  const filterGroups = new Set([...draft.groups, ...current.groups, ...modelGroups, ...postQuantum.groups]);
  const asksAddress = looksAt(wanted, 'context.network');
  for (let after = ''; ;) {
    const rows = await read
      .selectFrom('device')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE_MAX)
      .execute();
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.id;
    const facts = await factsOf(read, rows, { wanted, filterGroups, nowMs });
    const addresses = await addressesOf(dependencies, rows);
    const refusals = await publishers.refusals(rows, nowMs);
    const protectionOf = await postQuantum.protections(rows, (id) => [...dependencies.connections.bound(id)][0]);
    for (const { id } of rows) {
      const own = facts.get(id);
      if (own === undefined) continue;
      counts.principals += 1;
      const address = addresses.get(id);
      const moment = gate.momentOf(address ?? { remoteAddress: '0.0.0.0' }, id, undefined, nowMs);
      const about = deviceQuestion('connect', own, { kind: 'hub' }, moment);
      const ruled = postQuantum.refusals(own.row, protectionOf(id), [about, trial.changed(about)]);
      if (address === undefined) {
        counts.withoutAddress += 1;
        // The address of a device that is not connected is unknown.
        if (asksAddress) continue;
      }
      const refused = refusals.get(id) ?? none;
      const permitted = (action: DeviceAction) => resources(action, refused);
      askDevice(trial, own, moment, permitted, ruled);
      await pause.due();
    }
  }
}

function askDevice(
  trial: Trial,
  facts: DeviceFacts,
  moment: RequestEnvironment,
  resources: (action: DeviceAction) => readonly Resource[],
  ruled: (action: DeviceAction) => RuleRefusal,
): void {
  for (const action of deviceActions) {
    const refused = ruled(action);
    // No policy permits what the rule refuses.
    if (refused.before && refused.after) continue;
    for (const resource of resources(action)) {
      trial.ask(`device:${facts.row.id}`, deviceQuestion(action, facts, resource, moment), refused);
    }
  }
}

const none: ReadonlySet<string> = new Set();

// The address that each device is connected from; else the one of its newest recorded decision.
async function addressesOf(
  { connections, decisions }: GateDependencies,
  rows: readonly DeviceRecord[],
): Promise<ReadonlyMap<string, Pick<DeviceConnection, 'remoteAddress'>>> {
  const found = new Map<string, Pick<DeviceConnection, 'remoteAddress'>>();
  for (const { id } of rows) {
    const [live] = connections.bound(id);
    if (live !== undefined) found.set(id, live);
  }
  const offline = rows.filter(({ id }) => !found.has(id)).map(({ id }) => `device:${id}`);
  for (const [principal, text] of await decisions.newestOf(offline)) {
    const parsed = questionSchema.safeParse(JSON.parse(text));
    if (parsed.success) {
      found.set(principal.slice('device:'.length), { remoteAddress: parsed.data.context.network.ip });
    }
  }
  return found;
}

async function currentModels(read: Kysely<Tables>): Promise<readonly string[]> {
  return (await resourcesOf(read))('releaseKey').flatMap((resource) =>
    resource.kind === 'model' ? [resource.name] : [],
  );
}

// The current release of each model. An update that is not published yet has no name.
async function resourcesOf(read: Kysely<Tables>): Promise<(action: DeviceAction) => readonly Resource[]> {
  const releases = await read
    .selectFrom('model_release')
    .select(['name', 'version', 'publisher'])
    .where('state', '=', 'published')
    .orderBy('published_at', 'desc')
    .execute();
  const newest = new Map<string, Resource>();
  for (const { name, version, publisher } of releases) {
    if (newest.has(name) || newest.size >= MODELS_MAX) continue;
    newest.set(name, { kind: 'model', name, version, publisher, groups: [...(await groupsOfModel(read, name))] });
  }
  const models = [...newest.values()];
  return (action) => {
    switch (action) {
      case 'releaseKey':
      case 'fetch':
        return models;
      case 'update':
        return [{ kind: 'update', name: '', version: '', publisher: '' }];
      case 'connect':
      case 'attest':
      case 'publishTelemetry':
      case 'receiveCommand':
        return [{ kind: 'hub' }];
    }
  };
}

// Every valid token with each of its scopes, as if it made a change.
async function askOperators(
  { database, decisions }: GateDependencies,
  gate: AccessGate,
  trial: Trial,
  nowMs: number,
  counts: Counts,
): Promise<void> {
  const tokens = await database.read
    .selectFrom('api_token')
    .select('sha256')
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', nowMs)
    .orderBy('name')
    .execute();
  for (const { sha256 } of tokens) {
    const caller = await findCaller(database.read, sha256, nowMs);
    if (typeof caller === 'string') continue;
    counts.principals += 1;
    const seen = (await decisions.newestOf([caller.actor])).get(caller.actor);
    const parsed = seen === undefined ? undefined : questionSchema.safeParse(JSON.parse(seen)).data;
    const address = parsed?.context.network.ip ?? '127.0.0.1';
    for (const scope of caller.scopes) {
      trial.ask(caller.actor, gate.operatorQuestion(caller, { address, scope, changes: true, nowMs }));
    }
  }
}

const unruled: RuleRefusal = { before: false, after: false };
const refusedByRule: Decision = { kind: 'refused', statements: [postQuantumStatement], reasons: [] };

class Trial {
  readonly #current: Policy;
  readonly #draft: Policy;
  readonly #maxNames: number;
  readonly #change: (question: Question) => Question;
  readonly #errors: Errors;
  readonly #changes = new Map<string, AccessChange & { readonly seen: Set<string> }>();
  #asked = 0;
  #unchanged = 0;

  constructor(
    current: Policy,
    draft: Policy,
    maxNames: number,
    errors: Errors,
    change: (question: Question) => Question,
  ) {
    this.#change = change;
    this.#current = current;
    this.#draft = draft;
    this.#maxNames = maxNames;
    this.#errors = errors;
  }

  /** The question with the facts of the draft. */
  changed(question: Question): Question {
    return this.#change(question);
  }

  /** `ruled`: what the post-quantum rule refuses before and after, under every policy. */
  ask(principal: string, question: Question, ruled: RuleRefusal = unruled): void {
    this.#asked += 1;
    const before = ruled.before ? refusedByRule : this.#current.decide(question);
    const changed = this.#change(question);
    const decided = this.#draft.decide(changed);
    this.#errors.note(principal, changed, decided);
    const after = ruled.after ? refusedByRule : decided;
    if (before.kind === after.kind) {
      this.#unchanged += 1;
      return;
    }
    const change = after.kind === 'permitted' ? 'gains' : 'loses';
    const by = after.statements.length > 0 ? after.statements : before.statements;
    const name = JSON.stringify([change, question.action, by]);
    const known = this.#changes.get(name) ?? {
      change,
      action: question.action,
      by: [...by],
      count: 0,
      names: [],
      seen: new Set<string>(),
    };
    known.count += 1;
    if (known.names.length < this.#maxNames && !known.seen.has(principal)) {
      known.seen.add(principal);
      known.names.push(principal);
    }
    this.#changes.set(name, known);
  }

  result(): Simulation['replayed'] {
    const changes = [...this.#changes.values()]
      .map(({ change, action, by, count, names }) => ({ change, action, by, count, names }))
      .toSorted((a, b) => b.count - a.count);
    return { asked: this.#asked, unchanged: this.#unchanged, changes };
  }
}

class Errors {
  #count = 0;
  #first: string | null = null;

  note(principal: string, question: Question, decision: Decision): void {
    const error =
      decision.kind === 'refused' ? decision.reasons.find(({ code }) => code === 'policy-error') : undefined;
    if (error === undefined) return;
    this.#count += 1;
    this.#first ??= `${principal}, ${question.action}: ${error.message}`;
  }

  result(): Simulation['errors'] {
    return { count: this.#count, first: this.#first };
  }
}
