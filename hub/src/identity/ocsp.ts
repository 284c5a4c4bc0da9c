// The OCSP responder for the issuing CA (RFC 6960, spec/revocation.md): answers are signed with a key that can do nothing else, and kept for
// those who ask without a nonce until something is revoked.
import { toHex } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { parseRevocationReason } from '@edgekeep/core/identity/crl-reason';
import { CoreError } from '@edgekeep/core/error';
import {
  type CertId,
  isIssuedBy,
  issuerHashesOf,
  type OcspRequest,
  parseOcspRequest,
} from '@edgekeep/core/identity/ocsp-request';
import { type CertificateStatus, encodeOcspFailure, encodeOcspResponse } from '@edgekeep/core/identity/ocsp-response';
import type { Signer } from '@edgekeep/core/signer';
import type { Clock } from '../clock.ts';
import type { HubKeys } from '../keys.ts';
import type { Database } from '../store/database.ts';
import { issueOcspCredential, recordHubCertificate } from './authority.ts';
import type { RevocationWatch } from './revocation-watch.ts';

// About 800 bytes each.
const keptMost = 20_000;

export interface OcspParts {
  readonly database: Database;
  readonly keys: HubKeys;
  readonly watch: RevocationWatch;
  readonly clock: Clock;
  /** How long an answer may be relied on. */
  readonly answerSeconds: number;
}

export interface OcspAnswered {
  readonly der: Uint8Array;
  /** Until when the same answer is given to the same question, Unix seconds; undefined for one that is for this asker alone. */
  readonly reusedUntilSeconds: number | undefined;
}

interface Credential {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export class OcspResponder {
  readonly #parts: OcspParts;
  readonly #issuer: Parameters<typeof isIssuedBy>[1];
  readonly #kept = new Map<string, OcspAnswered & { readonly reusedUntilSeconds: number }>();
  #keptVersion = 0;
  #credential: Credential | undefined;
  #renewing: Promise<Credential> | undefined;

  constructor(parts: OcspParts) {
    this.#parts = parts;
    const { issuing } = parts.keys;
    this.#issuer = { sha1: issuerHashesOf(issuing, 'sha1'), sha256: issuerHashesOf(issuing, 'sha256') };
  }

  /** The responder's certificate at this moment. */
  async certificate(): Promise<Certificate> {
    return (await this.#currentCredential()).certificate;
  }

  /** The answer to a DER request; to one that cannot be read it is `malformedRequest`. */
  async answer(der: Uint8Array): Promise<OcspAnswered> {
    let request: OcspRequest;
    try {
      request = parseOcspRequest(der);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return { der: encodeOcspFailure('malformedRequest'), reusedUntilSeconds: undefined };
    }
    const { watch, clock } = this.#parts;
    await watch.fresh();
    if (this.#keptVersion !== watch.version) {
      this.#kept.clear();
      this.#keptVersion = watch.version;
    }
    if (request.nonce !== undefined) return this.#sign(request);
    const question = request.certificates.map((one) => toHex(one.der)).join();
    const kept = this.#kept.get(question);
    if (kept !== undefined && clock() / 1_000 < kept.reusedUntilSeconds) return kept;
    return this.#signAndKeep(request, question);
  }

  async #signAndKeep(request: OcspRequest, question: string): Promise<OcspAnswered> {
    const version = this.#keptVersion;
    const answered = await this.#sign(request);
    const { reusedUntilSeconds } = answered;
    // What is unknown now may be issued in a moment, and unknown serial numbers have no end.
    if (reusedUntilSeconds === undefined || version !== this.#keptVersion) return answered;
    if (this.#kept.size >= keptMost) this.#kept.clear();
    this.#kept.set(question, { ...answered, reusedUntilSeconds });
    return answered;
  }

  async #sign({ certificates, nonce }: OcspRequest): Promise<OcspAnswered> {
    const { clock, answerSeconds } = this.#parts;
    const thisUpdateSeconds = Math.floor(clock() / 1_000);
    const nextUpdateSeconds = thisUpdateSeconds + answerSeconds;
    const statuses: (readonly [Uint8Array, CertificateStatus])[] = [];
    for (const one of certificates) statuses.push([one.der, await this.#statusOf(one)]);
    const { certificate, signer } = await this.#currentCredential();
    const answer = { statuses, thisUpdateSeconds, nextUpdateSeconds, nonce };
    const der = await encodeOcspResponse(answer, certificate, signer);
    const reusable = nonce === undefined && statuses.every(([, { kind }]) => kind !== 'unknown');
    return { der, reusedUntilSeconds: reusable ? thisUpdateSeconds + Math.floor(answerSeconds / 2) : undefined };
  }

  async #statusOf(one: CertId): Promise<CertificateStatus> {
    if (!isIssuedBy(one, this.#issuer)) return { kind: 'unknown' };
    const { read } = this.#parts.database;
    const serial = toHex(one.serial).replace(/^0+/, '');
    const row = await read
      .selectFrom('certificate')
      .select(['revoked_at as revokedAt', 'revocation_reason as reason'])
      .where('serial', '=', serial)
      .executeTakeFirst();
    if (row === undefined) {
      const own = await read
        .selectFrom('hub_certificate')
        .select('serial')
        .where('serial', '=', serial)
        .executeTakeFirst();
      return { kind: own === undefined ? 'unknown' : 'good' };
    }
    if (row.revokedAt === null) return { kind: 'good' };
    const reason = parseRevocationReason(row.reason ?? '') ?? 'unspecified';
    return { kind: 'revoked', revokedAtSeconds: Math.floor(row.revokedAt / 1_000), reason };
  }

  async #currentCredential(): Promise<Credential> {
    const credential = this.#credential;
    if (credential !== undefined && !isTwoThirdsOver(credential.certificate, this.#parts.clock())) return credential;
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(): Promise<Credential> {
    const { database, keys, clock } = this.#parts;
    const credential = await issueOcspCredential(keys, { nowMs: clock() });
    await database.write((trx) => recordHubCertificate(trx, credential.certificate, 'ocsp'));
    this.#credential = credential;
    return credential;
  }
}

function isTwoThirdsOver({ notBeforeSeconds, notAfterSeconds }: Certificate, nowMs: number): boolean {
  return nowMs / 1_000 > notBeforeSeconds + ((notAfterSeconds - notBeforeSeconds) * 2) / 3;
}
