// Roll-over of the root (spec/authorities.md): announcing the next one, ending the overlap, and the list by which a root revokes an issuing
// CA. The root's key is never here: everything arrives signed from a ceremony.
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { type Crl, parseCrl, verifyCrl } from '@edgekeep/core/identity/crl';
import { parsePem } from '@edgekeep/core/identity/pem';
import { rolloverProblems, ROOTS_MAX } from '@edgekeep/core/identity/rollover';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { AuthorityDependencies } from './issuing-orders.ts';
import { readRoots, readTrusted } from './state.ts';

/** New root, NewWithOld, OldWithNew, as PEM: devices learn the root from now on. Returns its version. This cannot be undone. */
export async function announceRoot(
  { database, authorities, clock }: AuthorityDependencies,
  pem: string,
  actor: string,
): Promise<number> {
  const [root, newWithOld, oldWithNew, ...more] = parsePem(pem, 'CERTIFICATE').map(parseCertificate);
  if (root === undefined || newWithOld === undefined || oldWithNew === undefined || more.length > 0)
    throw invalid('expected three certificates: new root, NewWithOld, OldWithNew');
  const nowMs = clock();
  const sha256 = toHex(certificateDigest(root));
  const version = await database.write(async (trx) => {
    const roots = await readRoots(trx);
    const before = roots.at(-1);
    if (before === undefined) throw new HubError('store-failed', 'the store names no root: restore it from a backup');
    const problems = rolloverProblems(before.certificate, root, { newWithOld, oldWithNew }, Math.floor(nowMs / 1_000));
    if (problems.length > 0) throw invalid('the newest root of this hub does not certify the new one', problems);
    const next = before.version + 1;
    if (roots.some(({ status }) => status === 'next'))
      throw new HubError('conflict', 'a new root is announced already: activate an issuing CA under it first');
    if (next > ROOTS_MAX) throw new HubError('conflict', `no more than ${ROOTS_MAX} roots`);
    await trx
      .insertInto('root_authority')
      .values({
        sha256,
        generation: next,
        status: 'next',
        der: root.der,
        new_with_old: newWithOld.der,
        old_with_new: oldWithNew.der,
        list: null,
        added_at: nowMs,
        overlap_ends_at: null,
      })
      .execute();
    const data = { generation: next, notAfter: root.notAfterSeconds * 1_000 };
    await appendEntry(trx, { at: nowMs, kind: 'root-announced', actor, subject: `root:${sha256}`, data });
    return next;
  });
  await authorities.reload();
  return version;
}

/** When to drop a root that is no longer in use; in the past: at the next check. */
export async function setOverlap(
  { database, clock }: AuthorityDependencies,
  { sha256, endsAtMs, actor }: { readonly sha256: string; readonly endsAtMs: number; readonly actor: string },
): Promise<void> {
  await database.write(async (trx) => {
    const row = await trx.selectFrom('root_authority').select('status').where('sha256', '=', sha256).executeTakeFirst();
    if (row === undefined) throw new HubError('not-found', `no root ${sha256}`);
    if (row.status !== 'previous')
      throw new HubError('conflict', `the root is ${row.status}: only one that was replaced has an overlap`);
    await trx.updateTable('root_authority').set({ overlap_ends_at: endsAtMs }).where('sha256', '=', sha256).execute();
    const data = { endsAt: endsAtMs };
    await appendEntry(trx, { at: clock(), kind: 'root-overlap-set', actor, subject: `root:${sha256}`, data });
  });
}

/**
 * Takes a list that a root signed. Every issuing CA on it must have been revoked here before, so that nobody relies on it when the list is
 * published.
 */
export async function installRootList(
  { database, authorities, clock }: AuthorityDependencies,
  { sha256, der, actor }: { readonly sha256: string; readonly der: Uint8Array; readonly actor: string },
): Promise<number> {
  const list = parseCrl(der);
  const nowMs = clock();
  await database.write(async (trx) => {
    const root = (await readRoots(trx)).find((each) => each.sha256 === sha256);
    if (root === undefined) throw new HubError('not-found', `no root ${sha256}`);
    const verdict = verifyCrl(list, root.certificate, Math.floor(nowMs / 1_000));
    if (verdict.kind === 'refused') throw invalid('this root did not sign the list', verdict.reasons);
    const standing = (await readTrusted(trx)).find(({ certificate }) => list.revoked.has(serialText(certificate)));
    if (standing !== undefined)
      throw new HubError(
        'conflict',
        `the issuing CA ${standing.id} is on the list: \`edgekeep authority revoke\` it first`,
      );
    if (root.list !== undefined && numberOf(parseCrl(root.list)) >= numberOf(list))
      throw new HubError('conflict', 'a list with this number or a later one is installed');
    await trx.updateTable('root_authority').set({ list: der }).where('sha256', '=', sha256).execute();
    const data = { number: toHex(list.number), serials: [...list.revoked.keys()].slice(0, 32) };
    await appendEntry(trx, { at: nowMs, kind: 'root-list-installed', actor, subject: `root:${sha256}`, data });
  });
  await authorities.reload();
  return list.revoked.size;
}

function numberOf({ number }: Crl): bigint {
  return BigInt(`0x${toHex(number)}`);
}

function invalid(message: string, reasons: readonly string[] = []): HubError {
  return new HubError('request-invalid', message, {
    reasons: reasons.map((text) => ({ code: 'root-refused', message: text })),
  });
}
