// Rotation of the issuing CA (spec/authorities.md): request, install, activate, give up. Each step is one transaction with its audit entry,
// so a hub that is killed between two steps continues from the state in the store.
import { counted } from '@edgekeep/core/counted';
import { generateKeyPairSync } from 'node:crypto';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { validatePath } from '@edgekeep/core/identity/path';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { signerFromKey } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { issuingName, privatePem } from '../secrets/hub-keys.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { IssuingAuthorityRow } from '../store/tables/authority.ts';
import type { Authorities } from './authorities.ts';
import type { RevocationSettings } from './revocation-status.ts';
import { issuingIdOf, issuingKeyName, readRoots, type RootAuthority } from './state.ts';
import { countPending } from './views.ts';

export interface AuthoritySettings extends RevocationSettings {
  readonly authorities: {
    readonly overlapDays: number;
    readonly alarmDays: readonly number[];
    readonly checkSeconds: number;
  };
}

export interface AuthorityDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly keyStore: KeyStore;
  readonly clock: Clock;
  readonly settings: AuthoritySettings;
}

// One that waits and one that was forgotten; more is a mistake.
const WAITING_MAX = 4;
const dayMs = 86_400_000;

/** Makes the next key, durably, and the request for its certificate (PEM). Throws `conflict` when too many requests wait. */
export async function requestIssuing(
  { database, keyStore, clock }: AuthorityDependencies,
  actor: string,
): Promise<{ readonly id: string; readonly request: string }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = signerFromKey(privateKey);
  const id = issuingIdOf({ spki: encodeSpki(signer.publicKey) });
  const request = await encodeCertificateRequest({ subject: commonNameOnly(issuingName) }, signer);
  await assertRoomToWait(database.read);
  const pem = privatePem(privateKey);
  // Before the row: a row always has its key, and a key without a row is useless.
  await keyStore.add(issuingKeyName(id), pem).finally(() => pem.fill(0));
  await database.write(async (trx) => {
    await assertRoomToWait(trx);
    const nowMs = clock();
    const empty = { root_sha256: null, der: null, activates_at: null, activated_at: null, ended_at: null };
    const row = { ...empty, id, status: 'requested', request, added_at: nowMs } as const;
    await trx
      .insertInto('issuing_authority')
      .values({ ...row, revocation_reason: null, final_list: null })
      .execute();
    await appendEntry(trx, { at: nowMs, kind: 'issuing-authority-requested', actor, subject: subjectOf(id), data: {} });
  });
  return { id, request: encodePem('CERTIFICATE REQUEST', request) };
}

async function assertRoomToWait(db: Pick<WriteTransaction, 'selectFrom'>): Promise<void> {
  const waiting = await db
    .selectFrom('issuing_authority')
    .select('id')
    .where('status', 'in', ['requested', 'next'])
    .execute();
  if (waiting.length < WAITING_MAX) return;
  throw new HubError('conflict', `${waiting.length} issuing CAs are waiting already: install one, or give one up`);
}

/**
 * Takes the certificate that the root signed. Its certificates are accepted from now on; it issues once it is activated. Returns its id.
 */
export async function installIssuing(dependencies: AuthorityDependencies, pem: string, actor: string): Promise<string> {
  const { database, authorities, clock } = dependencies;
  const [der] = parsePem(pem, 'CERTIFICATE');
  if (der === undefined) throw invalid('there is no certificate in it');
  const certificate = parseCertificate(der);
  const id = issuingIdOf(certificate);
  await database.write(async (trx) => {
    // Its root may have been dropped since the request was let in.
    const root = assertUsable(certificate, await readRoots(trx), clock());
    await assertRow(trx, id, ['requested']);
    const changed = { status: 'next', root_sha256: root.sha256, der: certificate.der } as const;
    await trx.updateTable('issuing_authority').set(changed).where('id', '=', id).execute();
    await appendEntry(trx, {
      at: clock(),
      kind: 'issuing-authority-installed',
      actor,
      subject: subjectOf(id),
      data: {
        certificate: toHex(certificateDigest(certificate)),
        root: root.sha256,
        notAfter: certificate.notAfterSeconds * 1_000,
      },
    });
  });
  await authorities.reload();
  return id;
}

// spec/authorities.md, "The request of an issuing CA".
function assertUsable(certificate: Certificate, roots: readonly RootAuthority[], nowMs: number): RootAuthority {
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
  const { basicConstraints, keyUsage, subjectKeyIdentifier } = certificate.extensions;
  const identifier = toHex(subjectKeyIdentifier ?? new Uint8Array(0));
  const checks: readonly (readonly [boolean, string])[] = [
    [
      basicConstraints?.authority === true && basicConstraints.pathLength === 0,
      'it is not an authority with path length 0',
    ],
    [keyUsage?.includes('keyCertSign') === true, 'its key usage lacks keyCertSign'],
    [keyUsage?.includes('cRLSign') === true, 'its key usage lacks cRLSign'],
    [identifier === issuingIdOf(certificate), 'its subject key identifier is not the one of its key (RFC 7093)'],
  ];
  const problems = checks.filter(([holds]) => !holds).map(([, problem]) => problem);
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
  await trx.updateTable('issuing_authority').set({ status: 'retiring' }).where('status', '=', 'active').execute();
  await trx
    .updateTable('issuing_authority')
    .set({ status: 'active', activated_at: nowMs, activates_at: null })
    .where('id', '=', row.id)
    .execute();
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
    data: { root: own.sha256, generation: own.version, newRoot: own !== current, missing: pending },
  });
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
