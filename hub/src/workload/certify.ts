// A certificate for a workload (spec/workload.md, "Issue"): the device asks on its bound connection, for a key that is not its own.
import { forgetEndedOf } from '../revocation/certificates.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { randomBytes } from 'node:crypto';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { scopeOf } from '@edgekeep/core/identity/issuing-scope';
import { workloadProfile } from '@edgekeep/core/identity/profile';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { workloadSpiffeId } from '@edgekeep/core/identity/spiffe-id';
import { appendEntry } from '../audit/append.ts';
import type { Authorities } from '../authority/authorities.ts';
import { HubError } from '../common/error.ts';
import { reservedProblem } from '../store/hub-names.ts';
import { endWithin, recordCertificate, statusUrlsOf } from '../authority/issue.ts';
import type { IssuingAuthority } from '../authority/state.ts';
import { clockSkewSeconds } from '../secrets/hub-keys.ts';
import { assertEnabled } from '../registry/enablement.ts';
import { getDevice } from '../registry/states.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { declaredFor } from './declarations.ts';
import { recordWorkloadChange, type WorkloadOnDevice } from './revoke.ts';

// Two overlap at a renewal, and a program may run several times; more are a program error.
const STANDING_MAX = 16;
// Long enough to look back at what went wrong last week.
const endedKeptMs = 7 * 86_400_000;

export interface WorkloadSettings {
  readonly workloads: { readonly trustDomain: string; readonly certificateSeconds: number };
  readonly publicUrl: string | null;
  readonly revocation: { readonly crlSeconds: number };
}

export interface WorkloadDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: WorkloadSettings;
}

export interface WorkloadCertificateOrder extends WorkloadOnDevice {
  /** DER PKCS#10; the hub decides everything in the certificate except the key. */
  readonly certificateRequest: Uint8Array;
  readonly nowMs: number;
}

/** Throws `workload-refused` with the reason, or the refusal for the device's own state. */
export async function certifyWorkload(
  { database, authorities, settings }: WorkloadDependencies,
  order: WorkloadCertificateOrder,
): Promise<{ readonly certificate: Certificate; readonly spiffeId: string }> {
  const { deviceId, workload, nowMs } = order;
  const { trustDomain, certificateSeconds } = settings.workloads;
  const { spki } = parseCertificateRequest(order.certificateRequest);
  const active = authorities.activeFor('workload');
  assertDomain(active, trustDomain);
  const nowSeconds = Math.floor(nowMs / 1_000);
  const id = { trustDomain, deviceId, workload };
  const template = workloadProfile(
    {
      spki,
      serialRandom: randomBytes(16),
      notBeforeSeconds: nowSeconds - clockSkewSeconds,
      notAfterSeconds: endWithin(active.certificate, nowSeconds, certificateSeconds),
      statusUrls: statusUrlsOf(active, settings.publicUrl),
    },
    active.certificate,
    id,
  );
  const certificate = parseCertificate(await issueCertificate(template, active.signer));
  await database.write(async (trx) => {
    // Checked here, so that a device that is cut off, or a workload that is disabled meanwhile, has no certificate that nobody revokes.
    await assertMayHold(trx, order);
    await assertOtherKey(trx, order, spki);
    await forgetEnded(trx, order, settings.revocation.crlSeconds);
    await recordCertificate(trx, certificate, deviceId, { workload });
    const digest = toHex(certificateDigest(certificate));
    const actor = `device:${deviceId}`;
    const data = { workload, certificate: digest };
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'workload-certified', actor, subject: actor, data });
    if (await register(trx, order))
      await recordWorkloadChange(trx, order, { change: 'registered', reason: '', logIndex, actor, nowMs });
  });
  return { certificate, spiffeId: workloadSpiffeId(id) };
}

// The root signed for one trust domain; a certificate for another would have no valid path.
function assertDomain({ certificate }: IssuingAuthority, trustDomain: string): void {
  const scope = scopeOf(certificate);
  if (scope?.certificateClass !== 'workload' || scope.trustDomain === trustDomain) return;
  throw refused(
    'trust-domain-changed',
    `the CA for workloads is for the trust domain ${scope.trustDomain}, not ${trustDomain}: \`edgekeep authority request --class workload\``,
  );
}

// A key of the device, or of another program on it, must not be used for this program as well.
async function assertOtherKey(
  trx: WriteTransaction,
  { deviceId, workload }: WorkloadOnDevice,
  spki: Uint8Array,
): Promise<void> {
  const other = await trx
    .selectFrom('certificate')
    .select('workload')
    .where('spki_sha256', '=', sha256Hex(spki))
    .where('device_id', '=', deviceId)
    .where('workload', 'is distinct from', workload)
    .executeTakeFirst();
  if (other === undefined) return;
  const whose = other.workload === null ? 'the device itself' : `the workload ${other.workload}`;
  throw refused('key-in-use', `a workload needs a key of its own: this one was certified for ${whose}`);
}

async function assertMayHold(
  trx: WriteTransaction,
  { deviceId, workload, nowMs }: WorkloadCertificateOrder,
): Promise<void> {
  const device = await getDevice(trx, deviceId);
  assertEnabled(device);
  if (device.state !== 'active') {
    throw refused('device-not-active', `${deviceId} is ${device.state}: it must attest an accepted boot first`);
  }
  // One that was declared before there was this rule, or before the hub had this name.
  const reserved = await reservedProblem(trx, 'workload', workload);
  if (reserved !== undefined) throw refused('name-reserved', reserved);
  if ((await declaredFor(trx, deviceId, nowMs, workload)).length === 0)
    throw refused('not-declared', `${workload} is not declared for ${deviceId}: \`edgekeep workload declare\``);
  const row = await trx
    .selectFrom('workload')
    .select('disabled_reason')
    .where('device_id', '=', deviceId)
    .where('name', '=', workload)
    .executeTakeFirst();
  const reason = row?.disabled_reason ?? null;
  if (reason !== null) throw refused('workload-disabled', `${workload} on ${deviceId} is disabled: ${reason}`);
  const { standing } = await trx
    .selectFrom('certificate')
    .select((q) => q.fn.countAll<number>().as('standing'))
    .where('device_id', '=', deviceId)
    .where('workload', '=', workload)
    .where('revoked_at', 'is', null)
    .where('not_after', '>', nowMs)
    .executeTakeFirstOrThrow();
  if (standing >= STANDING_MAX)
    throw new HubError(
      'rate-limited',
      `${standing} certificates of ${workload} are valid: use them, or wait for their end`,
    );
}

// A certificate every few hours adds up; the log keeps the digest of each. Revoked ones stay until two lists were due after their end (RFC
// 5280 section 3.3).
async function forgetEnded(trx: WriteTransaction, order: WorkloadCertificateOrder, crlSeconds: number): Promise<void> {
  await forgetEndedOf(trx, order, order.nowMs - Math.max(endedKeptMs, 2_000 * crlSeconds));
}

/** True for the first certificate. */
async function register(
  trx: WriteTransaction,
  { deviceId, workload, nowMs }: WorkloadCertificateOrder,
): Promise<boolean> {
  const row = await trx
    .insertInto('workload')
    .values({ device_id: deviceId, name: workload, registered_at: nowMs, disabled_reason: null })
    .onConflict((conflict) =>
      conflict
        .columns(['device_id', 'name'])
        .doUpdateSet({ registered_at: nowMs })
        .where('workload.registered_at', 'is', null),
    )
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

function refused(code: string, message: string): HubError {
  return new HubError('workload-refused', message, { reasons: [{ code, message }] });
}
