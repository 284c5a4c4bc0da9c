// The OCSP responder for one issuing CA (RFC 6960, spec/revocation.md). Responses are signed with a key that can do nothing else, and are
// cached for requests without a nonce until the next revocation.
import { toHex } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { parseRevocationReason } from '@edgekeep/core/identity/crl-reason';
import { type CertId, isIssuedBy, issuerHashesOf, type OcspRequest } from '@edgekeep/core/identity/ocsp-request';
import { type CertificateStatus, encodeOcspResponse } from '@edgekeep/core/identity/ocsp-response';
import type { Signer } from '@edgekeep/core/signer';
import { LruMap } from 'toad-cache';
import type { IssuingAuthority } from './state.ts';
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';
import { issueOcspCredential, isTwoThirdsOver, recordHubCertificate } from './issue.ts';
import type { RevocationWatch } from '../revocation/watch.ts';

// About 800 bytes each.
const KEPT_MAX = 20_000;

export interface OcspDependencies {
  readonly database: Database;
  /** The issuing CA that it answers for. */
  readonly issuing: IssuingAuthority;
  readonly watch: RevocationWatch;
  readonly clock: Clock;
  /** How long a response is valid. */
  readonly answerSeconds: number;
}

export interface OcspAnswered {
  readonly der: Uint8Array;
  /** Until when the same response answers the same request, Unix seconds; undefined for a response with a nonce. */
  readonly reusedUntilSeconds: number | undefined;
}

interface Credential {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export class OcspResponder {
  readonly #dependencies: OcspDependencies;
  readonly #issuer: Parameters<typeof isIssuedBy>[1];
  readonly #kept = new LruMap<OcspAnswered & { readonly reusedUntilSeconds: number }>(KEPT_MAX);
  #keptVersion = 0;
  #credential: Credential | undefined;
  #renewing: Promise<Credential> | undefined;

  constructor(dependencies: OcspDependencies) {
    this.#dependencies = dependencies;
    const { certificate } = dependencies.issuing;
    this.#issuer = { sha1: issuerHashesOf(certificate, 'sha1'), sha256: issuerHashesOf(certificate, 'sha256') };
  }

  /** The present certificate of the responder. */
  async certificate(): Promise<Certificate> {
    return (await this.#currentCredential()).certificate;
  }

  /** Whether the request asks about a certificate of this issuing CA. */
  isFor({ certificates }: OcspRequest): boolean {
    return certificates.some((one) => isIssuedBy(one, this.#issuer));
  }

  /** The response; a certificate of another issuing CA is `unknown` in it. */
  async answer(request: OcspRequest): Promise<OcspAnswered> {
    const { watch, clock } = this.#dependencies;
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
    // A certificate that is unknown now may be issued in a moment, and there is no limit to unknown serial numbers.
    if (reusedUntilSeconds === undefined || version !== this.#keptVersion) return answered;
    this.#kept.set(question, { ...answered, reusedUntilSeconds });
    return answered;
  }

  async #sign({ certificates, nonce }: OcspRequest): Promise<OcspAnswered> {
    const { clock, answerSeconds } = this.#dependencies;
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
    const { read } = this.#dependencies.database;
    const { id } = this.#dependencies.issuing;
    const serial = toHex(one.serial).replace(/^0+/, '');
    const row = await read
      .selectFrom('certificate')
      .select(['revoked_at as revokedAt', 'revocation_reason as reason'])
      .where('serial', '=', serial)
      .where('issuer', '=', id)
      .executeTakeFirst();
    if (row === undefined) {
      const own = await read
        .selectFrom('hub_certificate')
        .select('serial')
        .where('serial', '=', serial)
        .where('issuer', '=', id)
        .executeTakeFirst();
      return { kind: own === undefined ? 'unknown' : 'good' };
    }
    if (row.revokedAt === null) return { kind: 'good' };
    const reason = parseRevocationReason(row.reason ?? '') ?? 'unspecified';
    return { kind: 'revoked', revokedAtSeconds: Math.floor(row.revokedAt / 1_000), reason };
  }

  async #currentCredential(): Promise<Credential> {
    const credential = this.#credential;
    if (credential !== undefined && !isTwoThirdsOver(credential.certificate, this.#dependencies.clock()))
      return credential;
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(): Promise<Credential> {
    const { database, issuing, clock } = this.#dependencies;
    const credential = await issueOcspCredential(issuing, { nowMs: clock() });
    await database.writeAsHub((trx) => recordHubCertificate(trx, credential.certificate, 'ocsp'));
    this.#credential = credential;
    return credential;
  }
}
