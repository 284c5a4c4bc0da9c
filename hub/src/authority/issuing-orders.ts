// Rotation of the issuing CA (spec/authorities.md): request, install, activate, give up. Each step is one transaction with its audit entry,
// so a hub that is killed between two steps continues from the state in the store.
import { counted } from '@edgekeep/core/counted';
import { generateKeyPairSync } from 'node:crypto';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { type IssuedClass, issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import { validatePath } from '@edgekeep/core/identity/path';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { signerFromKey } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { encodeIssuingRequest, issuingKeyName, privatePem, scopeFor } from '../secrets/hub-keys.ts';
import { issuingProblems } from '../secrets/initial-certificates.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { AuthorityClass, IssuingAuthorityRow } from '../store/tables/authority.ts';
import type { Authorities } from './authorities.ts';
import type { RevocationSettings } from './revocation-status.ts';
import { issuingIdOf, readRoots, type RootAuthority } from './state.ts';
import { countPending } from './views.ts';

export interface AuthoritySettings extends RevocationSettings {
  readonly authorities: {
    readonly overlapDays: number;
    readonly alarmDays: readonly number[];
    readonly keyListAlarmDays: number;
    readonly checkSeconds: number;
  };
  readonly workloads: { readonly trustDomain: string };
}

export interface AuthorityDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly keyStore: KeyStore;
  readonly clock: Clock;
  readonly settings: AuthoritySettings;
}

// For each class one that waits and one that was forgotten; more is a mistake.
const WAITING_MAX = 4;
const dayMs = 86_400_000;

export interface IssuingRequest {
  readonly id: string;
  readonly class: IssuedClass;
  /** PEM. */
  readonly request: string;
}

/** Makes the next key of each class, durably, and the request for its certificate. Throws `conflict` when too many requests wait. */
export async function requestIssuing(
  { database, keyStore, settings, clock }: AuthorityDependencies,
  { classes, actor }: { readonly classes: readonly IssuedClass[]; readonly actor: string },
): Promise<readonly IssuingRequest[]> {
  const made = await Promise.all(classes.map((each) => newRequest(each, settings.workloads.trustDomain)));
  await assertRoomToWait(database.read, classes);
  // Before the rows: a row always has its key, and a key without a row is useless.
  for (const { id, key } of made) {
    const pem = privatePem(key);
    await keyStore.add(issuingKeyName(id), pem).finally(() => pem.fill(0));
  }
  await database.write(async (trx) => {
    await assertRoomToWait(trx, classes);
    for (const each of made) await recordRequest(trx, each, actor, clock());
  });
  return made.map(({ id, class: certificateClass, request }) => {
    return { id, class: certificateClass, request: encodePem('CERTIFICATE REQUEST', request) };
  });
}

async function newRequest(certificateClass: IssuedClass, trustDomain: string) {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = issuingIdOf({ spki: encodeSpki(signerFromKey(key).publicKey) });
  const request = await encodeIssuingRequest(key, scopeFor(certificateClass, trustDomain));
  return { id, class: certificateClass, key, request };
}

async function recordRequest(
  trx: WriteTransaction,
  { id, class: certificateClass, request }: Awaited<ReturnType<typeof newRequest>>,
  actor: string,
  nowMs: number,
): Promise<void> {
  const empty = { root_sha256: null, der: null, activates_at: null, activated_at: null, ended_at: null };
  const row = { ...empty, id, class: certificateClass, status: 'requested', request, added_at: nowMs } as const;
  await trx
    .insertInto('issuing_authority')
    .values({ ...row, revocation_reason: null, final_list: null })
    .execute();
  const data = { class: certificateClass };
  await appendEntry(trx, { at: nowMs, kind: 'issuing-authority-requested', actor, subject: subjectOf(id), data });
}

async function assertRoomToWait(
  db: Pick<WriteTransaction, 'selectFrom'>,
  classes: readonly IssuedClass[],
): Promise<void> {
  const waiting = await db
    .selectFrom('issuing_authority')
    .select('class')
    .where('status', 'in', ['requested', 'next'])
    .execute();
  for (const wanted of classes) {
    const count = waiting.filter((row) => row.class === wanted).length;
    if (count < WAITING_MAX) continue;
    const text = `${count} issuing CAs of class ${wanted} are waiting already: install one, or give one up`;
    throw new HubError('conflict', text);
  }
}

/**
 * Takes the certificates that the root signed, all or none; a root behind them is ignored. Their certificates are accepted from now on; each
 * issues once it is activated. Returns their ids.
 */
export async function installIssuing(
  dependencies: AuthorityDependencies,
  pem: string,
  actor: string,
): Promise<readonly string[]> {
  const { database, authorities, clock } = dependencies;
  const signed = parsePem(pem, 'CERTIFICATE')
    .map(parseCertificate)
    .filter(({ subject, issuer }) => !equalNames(subject, issuer));
  if (signed.length === 0) throw invalid('there is none in it');
  await database.write(async (trx) => {
    // Its root may have been dropped since the request was let in.
    const roots = await readRoots(trx);
    for (const certificate of signed) await installOne(trx, certificate, roots, { actor, nowMs: clock() });
  });
  await authorities.reload();
  return signed.map(issuingIdOf);
}

async function installOne(
  trx: WriteTransaction,
  certificate: Certificate,
  roots: readonly RootAuthority[],
  { actor, nowMs }: { readonly actor: string; readonly nowMs: number },
): Promise<void> {
  const id = issuingIdOf(certificate);
  const row = await assertRow(trx, id, ['requested']);
  const root = assertUsable(certificate, row, roots, nowMs);
  const changed = { status: 'next', root_sha256: root.sha256, der: certificate.der } as const;
  await trx.updateTable('issuing_authority').set(changed).where('id', '=', id).execute();
  await appendEntry(trx, {
    at: nowMs,
    kind: 'issuing-authority-installed',
    actor,
    subject: subjectOf(id),
    data: {
      class: row.class,
      certificate: toHex(certificateDigest(certificate)),
      root: root.sha256,
      notAfter: certificate.notAfterSeconds * 1_000,
    },
  });
}

// spec/authorities.md, "The request of an issuing CA".
function assertUsable(
  certificate: Certificate,
  row: IssuingAuthorityRow,
  roots: readonly RootAuthority[],
  nowMs: number,
): RootAuthority {
  const known = roots.filter(({ status }) => status !== 'dropped');
  const anchors = known.map((root) => root.certificate);
  const verdict = validatePath({
    leaf: certificate,
    intermediates: [],
    anchors,
    atSeconds: Math.floor(nowMs / 1_000),
    purpose: 'any',
  });
  if (verdict.kind === 'refused') throw invalid('it does not chain to a root of this hub', verdict.reasons);
  const problems = issuingProblems(certificate, parseCertificateRequest(row.request ?? new Uint8Array(0)));
  if (problems.length > 0) throw invalid('it does not meet the rules for an issuing CA', problems);
  const root = known.find((each) => verdict.chain.includes(each.certificate));
  if (root === undefined) throw new TypeError('a path without one of the anchors');
  return root;
}

export interface ActivateOrder {
  readonly id: string;
  /** When; left out, or in the past: now. */
  readonly atMs?: number | undefined;
  readonly force: boolean;
  readonly actor: string;
}

/** Lets a `next` CA issue, now or later. Throws `conflict` while devices do not know its root, unless forced. */
export async function activateIssuing(dependencies: AuthorityDependencies, order: ActivateOrder): Promise<void> {
  const { database, authorities, settings, clock } = dependencies;
  const { id, atMs = 0, force, actor } = order;
  const nowMs = clock();
  await database.write(async (trx) => {
    const row = await assertRow(trx, id, ['next']);
    if (atMs > nowMs) {
      await trx.updateTable('issuing_authority').set({ activates_at: atMs }).where('id', '=', id).execute();
      const data = { activatesAt: atMs };
      await appendEntry(trx, { at: nowMs, kind: 'issuing-authority-scheduled', actor, subject: subjectOf(id), data });
      return;
    }
    await activateIn(trx, row, { force, actor, nowMs, overlapMs: settings.authorities.overlapDays * dayMs });
  });
  await authorities.reload();
}

/** The part of an activation inside the transaction: the CA in use retires, and the new root comes into use where there is one. */
export async function activateIn(
  trx: WriteTransaction,
  row: IssuingAuthorityRow,
  order: { readonly force: boolean; readonly actor: string; readonly nowMs: number; readonly overlapMs: number },
): Promise<void> {
  const { force, actor, nowMs, overlapMs } = order;
  const roots = await readRoots(trx);
  const current = roots.find(({ status }) => status === 'current');
  const own = roots.find(({ sha256 }) => sha256 === row.root_sha256);
  if (current === undefined || own === undefined || own.version < current.version)
    throw new HubError('conflict', 'it was signed by an earlier root than the one in use: have a new one signed');
  const pending = own === current ? 0 : await countPending(trx, own.version);
  if (pending > 0 && !force) {
    throw new HubError('conflict', `its root is not yet known by ${counted(pending, 'device')}: wait, or force it`, {
      reasons: [{ code: 'root-unknown', message: '`edgekeep authority pending` names them' }],
    });
  }
  await assertNotBack(trx, row);
  await retireActive(trx, row.class);
  await trx
    .updateTable('issuing_authority')
    .set({ status: 'active', activated_at: nowMs, activates_at: null })
    .where('id', '=', row.id)
    .execute();
  // The one for all classes goes on until each has a CA of its own.
  if ((await classesWithoutAuthority(trx)).length === 0) await retireActive(trx, 'general');
  if (own !== current) {
    await trx
      .updateTable('root_authority')
      .set({ status: 'previous', overlap_ends_at: nowMs + overlapMs })
      .where('status', 'in', ['current', 'next'])
      .where('generation', '<', own.version)
      .execute();
    await trx.updateTable('root_authority').set({ status: 'current' }).where('sha256', '=', own.sha256).execute();
  }
  await appendEntry(trx, {
    at: nowMs,
    kind: 'issuing-authority-activated',
    actor,
    subject: subjectOf(row.id),
    data: { class: row.class, root: own.sha256, generation: own.version, newRoot: own !== current, missing: pending },
  });
}

async function retireActive(trx: WriteTransaction, certificateClass: AuthorityClass): Promise<void> {
  await trx
    .updateTable('issuing_authority')
    .set({ status: 'retiring' })
    .where('status', '=', 'active')
    .where('class', '=', certificateClass)
    .execute();
}

/** The classes that have no active CA of their own. */
export async function classesWithoutAuthority(trx: WriteTransaction): Promise<readonly IssuedClass[]> {
  const rows = await trx.selectFrom('issuing_authority').select('class').where('status', '=', 'active').execute();
  return issuedClasses.filter((wanted) => rows.every((row) => row.class !== wanted));
}

// A request from before there were classes may have been signed meanwhile; with it, agents that refuse such a CA would be lost.
async function assertNotBack(trx: WriteTransaction, row: IssuingAuthorityRow): Promise<void> {
  if (row.class !== 'general' || (await classesWithoutAuthority(trx)).length === issuedClasses.length) return;
  throw new HubError(
    'conflict',
    'this hub has CAs of one class each: `edgekeep authority request` asks for the next ones',
  );
}

/** Gives up a CA that issues nothing yet; its key is destroyed. */
export async function abandonIssuing(
  { database, authorities, clock }: AuthorityDependencies,
  { id, note, actor }: { readonly id: string; readonly note: string; readonly actor: string },
): Promise<void> {
  const nowMs = clock();
  await database.write(async (trx) => {
    await assertRow(trx, id, ['requested', 'next']);
    const changed = { status: 'abandoned', ended_at: nowMs } as const;
    await trx.updateTable('issuing_authority').set(changed).where('id', '=', id).execute();
    const data = { note };
    await appendEntry(trx, { at: nowMs, kind: 'issuing-authority-abandoned', actor, subject: subjectOf(id), data });
  });
  await authorities.reload();
}

/** The row, in one of these states; otherwise throws `not-found` or `conflict`. */
export async function assertRow(
  trx: WriteTransaction,
  id: string,
  statuses: readonly IssuingAuthorityRow['status'][],
): Promise<IssuingAuthorityRow> {
  const row = await trx.selectFrom('issuing_authority').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined)
    throw new HubError(
      'not-found',
      `no issuing CA ${id} was requested here: is the certificate for this hub's request?`,
    );
  if (statuses.includes(row.status)) return row;
  throw new HubError('conflict', `the issuing CA ${id} is ${row.status}, expected ${statuses.join(' or ')}`);
}

/** The name in the audit log. */
export function subjectOf(id: string): string {
  return `issuing-authority:${id}`;
}

function invalid(message: string, reasons: readonly string[] = []): HubError {
  return new HubError('request-invalid', `the certificate of the issuing CA is refused: ${message}`, {
    reasons: reasons.map((text) => ({ code: 'certificate-refused', message: text })),
  });
}
