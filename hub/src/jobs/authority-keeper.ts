// Scheduled work of the authorities (spec/authorities.md): activations by date, retirement, last lists, destroyed keys, dropped roots, the
// next server certificate, alarms. Each step reads the store and is repeated after a kill; none takes effect twice.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../error.ts';
import { makeLastList } from '../authority/crl.ts';
import type { OwnCertificate } from '../authority/expiry.ts';
import { firstIssuingKeyName, readSigner } from '../secrets/hub-keys.ts';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { IssuingAuthorityRow } from '../store/authority-tables.ts';
import { alarmText, raiseAlarms } from '../authority/alarms.ts';
import { activateIssuing, type AuthorityParts, subjectOf } from '../authority/issuing-orders.ts';
import type { VendorRoots } from '../vendor-root/vendor-roots.ts';
import type { LiveCredential } from '../authority/server-credential.ts';
import { issuingIdOf, issuingKeyName, readIssuingKey } from '../authority/state.ts';
import { raiseTokenAlarms } from '../people/token-alarms.ts';
import type { Job } from '../subject.ts';

export interface KeeperParts extends AuthorityParts {
  readonly settings: AuthorityParts['settings'] & { readonly tokens: { readonly bootstrapHours: number } };
  readonly credential: LiveCredential;
  readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
  readonly vendorRoots: Pick<VendorRoots, 'watched'>;
  /** One line for the hub's own log. */
  readonly warn: (text: string) => void;
}

export class AuthorityKeeper {
  readonly #parts: KeeperParts;
  readonly #destroyed = new Set<string>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  get job(): Job {
    return {
      name: 'authority-keeper',
      summary: 'does what is due for authorities and certificates, and raises alarms before they end',
      everyMilliseconds: this.#parts.settings.authorities.checkSeconds * 1_000,
      place: 'one-node',
      run: () => this.sweep(),
    };
  }

  /** Does everything that is due. Rejects with the first failure, after it has tried the other steps. */
  async sweep(): Promise<void> {
    const { authorities, credential } = this.#parts;
    const failures: unknown[] = [];
    const steps = [
      // Changes that another node made.
      () => authorities.reload(),
      () => this.#activateDue(),
      () => this.#retire(),
      () => this.#closeEnded(),
      () => this.#destroyKeys(),
      () => this.#dropRoots(),
      () => credential.renewWhenDue(),
      () => this.#raiseAlarms(),
      () => this.#raiseTokenAlarms(),
    ];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    const [first] = failures;
    if (first !== undefined) throw first;
  }

  async #raiseTokenAlarms(): Promise<void> {
    const { database, clock, settings } = this.#parts;
    await raiseTokenAlarms(database, { bootstrapHours: settings.tokens.bootstrapHours, nowMs: clock() });
  }

  async #activateDue(): Promise<void> {
    const { database, clock } = this.#parts;
    const due = await database.read
      .selectFrom('issuing_authority')
      .select('id')
      .where('status', '=', 'next')
      .where('activates_at', '<=', clock())
      .orderBy('activates_at')
      .execute();
    for (const { id } of due) {
      try {
        await activateIssuing(this.#parts, { id, force: false, actor: 'hub' });
      } catch (error) {
        // Some devices do not know the root yet: the activation waits for them, and `edgekeep authority list` shows it.
        if (!(error instanceof HubError) || error.code !== 'conflict') throw error;
      }
    }
  }

  /** The last certificate of a retiring CA has ended: it needs no answers any more. */
  async #retire(): Promise<void> {
    const { database, authorities, clock } = this.#parts;
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
  async #closeEnded(): Promise<void> {
    const { database, keyStore, settings, clock } = this.#parts;
    const ended = await database.read
      .selectFrom('issuing_authority')
      .selectAll()
      .where('status', 'in', ['retired', 'revoked'])
      .where('final_list', 'is', null)
      .execute();
    for (const { id, der } of ended) {
      if (der === null) continue;
      const issuing = { id, certificate: parseCertificate(der), signer: await readIssuingKey(id, keyStore) };
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

  async #destroyKeys(): Promise<void> {
    const rows = await this.#parts.database.read
      .selectFrom('issuing_authority')
      .select(['id', 'status', 'final_list'])
      .where('status', 'in', ['retired', 'revoked', 'abandoned'])
      .execute();
    for (const row of rows) {
      if (this.#destroyed.has(row.id) || !mayGo(row)) continue;
      await this.#destroyKey(row.id);
      this.#destroyed.add(row.id);
    }
  }

  async #destroyKey(id: string): Promise<void> {
    const { keyStore } = this.#parts;
    await keyStore.remove(issuingKeyName(id));
    // The initial issuing CA has a special name.
    const first = await readSigner(keyStore, firstIssuingKeyName);
    if (first !== undefined && issuingIdOf({ spki: encodeSpki(first.publicKey) }) === id)
      await keyStore.remove(firstIssuingKeyName);
  }

  async #dropRoots(): Promise<void> {
    const { database, authorities, clock } = this.#parts;
    const nowMs = clock();
    const { roots } = authorities.state;
    const over = roots.filter(
      ({ status, overlapEndsAtMs = Infinity }) => status === 'previous' && overlapEndsAtMs <= nowMs,
    );
    for (const { sha256, generation } of over) {
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
        const data = { generation };
        await appendEntry(trx, { at: nowMs, kind: 'root-dropped', actor: 'hub', subject: `root:${sha256}`, data });
      });
    }
    if (over.length > 0) await authorities.reload();
  }

  async #raiseAlarms(): Promise<void> {
    const { database, settings, ownCertificates, vendorRoots, clock, warn } = this.#parts;
    const { alarmDays } = settings.authorities;
    const watched = [...(await ownCertificates()), ...vendorRoots.watched()];
    const raised = await raiseAlarms(database, watched, { alarmDays, nowMs: clock() });
    for (const alarm of raised) warn(alarmText(alarm));
  }
}

function mayGo({ status, final_list: list }: Pick<IssuingAuthorityRow, 'status' | 'final_list'>): boolean {
  return status === 'abandoned' || list !== null;
}
