// What falls due for authorities (spec/authorities.md): activations by date, retirement, last lists, destroyed keys, dropped roots. Each
// step reads the store and is repeated after a kill; none takes effect twice.
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { firstIssuingKeyName, issuingKeyName, readSigner } from '../secrets/hub-keys.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { IssuingAuthorityRow } from '../store/tables/authority.ts';
import { makeLastList } from './crl.ts';
import { activateIssuing, type AuthorityDependencies, subjectOf } from './issuing-orders.ts';
import { issuingIdOf, readIssuingKey } from './state.ts';

/** Activates what was scheduled and is due. */
export async function activateDue(dependencies: AuthorityDependencies): Promise<void> {
  const { database, clock } = dependencies;
  const due = await database.read
    .selectFrom('issuing_authority')
    .select('id')
    .where('status', '=', 'next')
    .where('activates_at', '<=', clock())
    .orderBy('activates_at')
    .execute();
  for (const { id } of due) {
    try {
      await activateIssuing(dependencies, { id, force: false, actor: 'hub' });
    } catch (error) {
      // Some devices do not know the root yet: the activation waits for them, and `edgekeep authority list` shows it.
      if (!(error instanceof HubError) || error.code !== 'conflict') throw error;
    }
  }
}

/** The last certificate of a retiring CA has ended: it needs no answers any more. */
export async function retireEmptied({ database, authorities, clock }: AuthorityDependencies): Promise<void> {
  const retiring = authorities.state.trusted.filter(({ status }) => status === 'retiring');
  for (const { id } of retiring) {
    const nowMs = clock();
    const retired = await database.write(async (trx) => {
      const live = await trx
        .selectFrom('certificate')
        .select('serial')
        .where('issuer', '=', id)
        .where('not_after', '>=', nowMs)
        .limit(1)
        .executeTakeFirst();
      if (live !== undefined) return false;
      await trx
        .updateTable('issuing_authority')
        .set({ status: 'retired', ended_at: nowMs })
        .where('id', '=', id)
        .where('status', '=', 'retiring')
        .execute();
      const kind = 'issuing-authority-retired';
      await appendEntry(trx, { at: nowMs, kind, actor: 'hub', subject: subjectOf(id), data: {} });
      return true;
    });
    if (retired) await authorities.reload();
  }
}

/** The last list of each CA that ended, before its key is destroyed. */
export async function closeEnded({ database, keyStore, settings, clock }: AuthorityDependencies): Promise<void> {
  const ended = await database.read
    .selectFrom('issuing_authority')
    .selectAll()
    .where('status', 'in', ['retired', 'revoked'])
    .where('final_list', 'is', null)
    .execute();
  for (const { id, class: certificateClass, der } of ended) {
    if (der === null) continue;
    const issuing = {
      id,
      class: certificateClass,
      certificate: parseCertificate(der),
      signer: await readIssuingKey(id, keyStore),
    };
    const nowMs = clock();
    const list = await makeLastList(database, issuing, { nowMs, lifeSeconds: settings.revocation.crlSeconds });
    await database.write(async (trx) => {
      await trx.updateTable('issuing_authority').set({ final_list: list }).where('id', '=', id).execute();
      const data = { key: 'destroyed after this entry' };
      const kind = 'issuing-authority-closed';
      await appendEntry(trx, { at: nowMs, kind, actor: 'hub', subject: subjectOf(id), data });
    });
  }
}

/** The keys of CAs that are closed or were given up. `destroyed` keeps what was done in this process. */
export async function destroyKeys(
  { database, keyStore }: AuthorityDependencies,
  destroyed: Set<string>,
): Promise<void> {
  const rows = await database.read
    .selectFrom('issuing_authority')
    .select(['id', 'status', 'final_list'])
    .where('status', 'in', ['retired', 'revoked', 'abandoned'])
    .execute();
  for (const row of rows) {
    if (destroyed.has(row.id) || !mayGo(row)) continue;
    await destroyKey(keyStore, row.id);
    destroyed.add(row.id);
  }
}

/** Roots whose overlap is over and that no issuing CA needs. */
export async function dropRoots({ database, authorities, clock }: AuthorityDependencies): Promise<void> {
  const nowMs = clock();
  const { roots } = authorities.state;
  const over = roots.filter(
    ({ status, overlapEndsAtMs = Infinity }) => status === 'previous' && overlapEndsAtMs <= nowMs,
  );
  for (const { sha256, version } of over) {
    await database.write(async (trx) => {
      const needed = await trx
        .selectFrom('issuing_authority')
        .select('id')
        .where('root_sha256', '=', sha256)
        .where('status', 'in', ['next', 'active', 'retiring'])
        .limit(1)
        .executeTakeFirst();
      if (needed !== undefined) return;
      await trx.updateTable('root_authority').set({ status: 'dropped' }).where('sha256', '=', sha256).execute();
      const data = { generation: version };
      await appendEntry(trx, { at: nowMs, kind: 'root-dropped', actor: 'hub', subject: `root:${sha256}`, data });
    });
  }
  if (over.length > 0) await authorities.reload();
}

async function destroyKey(keyStore: KeyStore, id: string): Promise<void> {
  await keyStore.remove(issuingKeyName(id));
  // The initial issuing CA has a special name.
  const first = await readSigner(keyStore, firstIssuingKeyName);
  if (first !== undefined && issuingIdOf({ spki: encodeSpki(first.publicKey) }) === id)
    await keyStore.remove(firstIssuingKeyName);
}

function mayGo({ status, final_list: list }: Pick<IssuingAuthorityRow, 'status' | 'final_list'>): boolean {
  return status === 'abandoned' || list !== null;
}
