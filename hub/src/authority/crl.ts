// The certificate revocation list of the issuing CA (spec/revocation.md): made when a client asks and something has changed, or when half
// the life of the last one is over; kept until then.
import { nextListNumber } from '../revocation/store.ts';
import { encodeCrl, encodeCrlEntry } from '@edgekeep/core/identity/crl';
import { parseRevocationReason } from '@edgekeep/core/identity/crl-reason';
import { parseHex } from '@edgekeep/core/bytes';
import type { Clock } from '../common/clock.ts';
import type { IssuingAuthority } from './state.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import type { RevocationWatch } from '../revocation/watch.ts';

// Rows read and encoded between two turns of the event loop: some 20 ms of work.
const PAGE_MAX = 5_000;
// 99991231235959Z: in RFC 5280 section 4.1.2.5 it means that there is no date.
const endlessSeconds = 253_402_300_799;

export interface IssuedList {
  readonly der: Uint8Array;
  readonly number: number;
  readonly thisUpdateSeconds: number;
  readonly nextUpdateSeconds: number;
}

interface Kept extends IssuedList {
  /** Every revocation up to this version is in the list. */
  readonly version: number;
}

export interface RevocationListDependencies {
  readonly database: Database;
  /** The issuing CA whose certificates are listed, and the signer. */
  readonly issuing: IssuingAuthority;
  readonly watch: RevocationWatch;
  readonly clock: Clock;
  readonly lifeSeconds: number;
}

export class RevocationList {
  readonly #dependencies: RevocationListDependencies;
  #kept: Kept | undefined;
  #making: Promise<Kept> | undefined;

  constructor(dependencies: RevocationListDependencies) {
    this.#dependencies = dependencies;
  }

  /** The list with every revocation known to this node. */
  async current(): Promise<IssuedList> {
    const { watch } = this.#dependencies;
    await watch.fresh();
    const { version } = watch;
    const kept = this.#kept;
    if (kept !== undefined && kept.version >= version && !this.#isHalfOver(kept)) return kept;
    // A list under way may have been begun before the newest revocation.
    const making = await this.#makeOnce();
    return making.version >= version ? making : this.#makeOnce();
  }

  #isHalfOver({ thisUpdateSeconds, nextUpdateSeconds }: Kept): boolean {
    return this.#dependencies.clock() / 1_000 >= (thisUpdateSeconds + nextUpdateSeconds) / 2;
  }

  async #makeOnce(): Promise<Kept> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<Kept> {
    const { database, issuing, clock, lifeSeconds } = this.#dependencies;
    const nowMs = clock();
    const thisUpdateSeconds = Math.floor(nowMs / 1_000);
    const nextUpdateSeconds = thisUpdateSeconds + lifeSeconds;
    const { version, number } = await database.writeAsHub(nextListNumber);
    // RFC 5280 section 3.3: an entry stays until a list was issued after its certificate's end.
    const entries = await readEntries(database, issuing.id, nowMs - lifeSeconds * 1_000);
    const template = { issuer: issuing.certificate, number, thisUpdateSeconds, nextUpdateSeconds, entries };
    const der = await encodeCrl(template, issuing.signer);
    this.#kept = { der, number, thisUpdateSeconds, nextUpdateSeconds, version };
    return this.#kept;
  }
}

/** The last list of an issuing CA, without an end date, made before its key is destroyed: nobody can make the next one. */
export async function makeLastList(
  database: Database,
  issuing: IssuingAuthority,
  { nowMs, lifeSeconds }: { readonly nowMs: number; readonly lifeSeconds: number },
): Promise<Uint8Array> {
  const { number } = await database.writeAsHub(nextListNumber);
  const entries = await readEntries(database, issuing.id, nowMs - lifeSeconds * 1_000);
  const thisUpdateSeconds = Math.floor(nowMs / 1_000);
  const times = { thisUpdateSeconds, nextUpdateSeconds: endlessSeconds };
  return encodeCrl({ issuer: issuing.certificate, number, ...times, entries }, issuing.signer);
}

// Page by page, so that other work does not wait for a long list. A revocation during this time may be in it already; its version is a
// later one.
async function readEntries(database: Database, issuer: string, endedAfterMs: number): Promise<readonly Uint8Array[]> {
  const entries: Uint8Array[] = [];
  let last = { revokedAt: -1, serial: '' };
  for (;;) {
    const rows = await database.read
      .selectFrom('certificate')
      .select(['serial', 'revoked_at as revokedAt', 'revocation_reason as reason'])
      .where('issuer', '=', issuer)
      .where((q) =>
        q.or([
          q('revoked_at', '>', last.revokedAt),
          q.and([q('revoked_at', '=', last.revokedAt), q('serial', '>', last.serial)]),
        ]),
      )
      .where('not_after', '>', endedAfterMs)
      .orderBy('revoked_at')
      .orderBy('serial')
      .limit(PAGE_MAX)
      .execute();
    for (const { serial, revokedAt, reason } of rows) {
      if (revokedAt === null) throw new HubError('store-failed', `the certificate ${serial} has no date of revocation`);
      entries.push(
        encodeCrlEntry({
          serial: parseHex(serial.padStart(serial.length + (serial.length % 2), '0'), 'serial'),
          revokedAtSeconds: Math.floor(revokedAt / 1_000),
          reason: parseRevocationReason(reason ?? '') ?? 'unspecified',
        }),
      );
      last = { revokedAt, serial };
    }
    if (rows.length < PAGE_MAX) return entries;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
