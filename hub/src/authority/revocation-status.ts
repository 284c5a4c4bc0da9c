// Lists and OCSP responses of all issuing CAs (spec/authorities.md, "Lists and OCSP"). Each CA signs for its own certificates as long
// as its key exists, and leaves a last list behind.
import { toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseCrl } from '@edgekeep/core/identity/crl';
import { type OcspRequest, parseOcspRequest } from '@edgekeep/core/identity/ocsp-request';
import { encodeOcspFailure } from '@edgekeep/core/identity/ocsp-response';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { OwnCertificate } from './expiry.ts';
import { type IssuedList, RevocationList } from './crl.ts';
import { type OcspAnswered, OcspResponder } from './ocsp.ts';
import type { RevocationWatch } from '../revocation/watch.ts';
import type { Database } from '../store/database.ts';
import { type Authorities, issuingText } from './authorities.ts';
import type { IssuingAuthority } from './state.ts';

export interface RevocationSettings {
  readonly revocation: { readonly crlSeconds: number; readonly ocspSeconds: number };
}

export interface RevocationStatusDependencies {
  readonly database: Database;
  readonly authorities: Pick<Authorities, 'state' | 'activeFor' | 'issuing' | 'follow'>;
  readonly watch: RevocationWatch;
  readonly clock: Clock;
  readonly settings: RevocationSettings;
}

interface Answering {
  readonly issuing: IssuingAuthority;
  readonly list: RevocationList;
  readonly responder: OcspResponder;
}

export class RevocationStatus {
  readonly #dependencies: RevocationStatusDependencies;
  readonly #answering = new Map<string, Answering>();

  constructor(dependencies: RevocationStatusDependencies) {
    this.#dependencies = dependencies;
    dependencies.authorities.follow(async () => this.#forgetEnded());
  }

  /** The list of the issuing CA in use for devices, or of the one named; the last list once a CA no longer signs. Throws `not-found`. */
  async list(id: string = this.#dependencies.authorities.activeFor('device').id): Promise<IssuedList> {
    const issuing = this.#dependencies.authorities.issuing(id);
    if (issuing !== undefined) return this.#of(issuing).list.current();
    const row = await this.#dependencies.database.read
      .selectFrom('issuing_authority')
      .select('final_list')
      .where('id', '=', id)
      .executeTakeFirst();
    if (row?.final_list === undefined || row.final_list === null)
      throw new HubError('not-found', `there is no revocation list of an issuing CA ${id}`);
    return issuedListOf(row.final_list);
  }

  /** The newest list of a root, by the SHA-256 of its certificate, as it was made in a ceremony. Throws `not-found`. */
  rootList(sha256: string): IssuedList {
    const { roots } = this.#dependencies.authorities.state;
    const list = roots.find((root) => root.sha256 === sha256)?.list;
    if (list === undefined) throw new HubError('not-found', `there is no revocation list of a root ${sha256}`);
    return issuedListOf(list);
  }

  /**
   * The response to a DER request, from the first issuing CA that the request asks about. A request that cannot be read gets
   * `malformedRequest`.
   */
  async answer(der: Uint8Array): Promise<OcspAnswered> {
    let request: OcspRequest;
    try {
      request = parseOcspRequest(der);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return { der: encodeOcspFailure('malformedRequest'), reusedUntilSeconds: undefined };
    }
    return this.#responderFor(request).answer(request);
  }

  /** The current responder certificates, by issuing CA. */
  async responderCertificates(): Promise<readonly OwnCertificate[]> {
    const { trusted } = this.#dependencies.authorities.state;
    return Promise.all(
      trusted.map(async (issuing) => ({
        name: responderText(issuing),
        certificate: await this.#of(issuing).responder.certificate(),
      })),
    );
  }

  // A destroyed key is not kept in memory either.
  #forgetEnded(): void {
    for (const id of this.#answering.keys()) {
      if (this.#dependencies.authorities.issuing(id) === undefined) this.#answering.delete(id);
    }
  }

  #responderFor(request: OcspRequest): OcspResponder {
    const { state } = this.#dependencies.authorities;
    const asked = state.trusted.find((issuing) => this.#of(issuing).responder.isFor(request));
    return this.#of(asked ?? state.active.device).responder;
  }

  #of(issuing: IssuingAuthority): Answering {
    const kept = this.#answering.get(issuing.id);
    if (kept !== undefined) return kept;
    const { database, watch, clock, settings } = this.#dependencies;
    const { crlSeconds, ocspSeconds } = settings.revocation;
    const common = { database, issuing, watch, clock };
    const list = new RevocationList({ ...common, lifeSeconds: crlSeconds });
    const responder = new OcspResponder({ ...common, answerSeconds: ocspSeconds });
    const made = { issuing, list, responder };
    this.#answering.set(issuing.id, made);
    return made;
  }
}

function responderText(issuing: IssuingAuthority & { readonly status: string }): string {
  if (issuing.status !== 'active') return `OCSP responder of ${issuing.id.slice(0, 8)}`;
  return issuing.class === 'general' ? 'OCSP responder' : `OCSP responder of the ${issuingText(issuing)}`;
}

function issuedListOf(der: Uint8Array): IssuedList {
  const { number, thisUpdateSeconds, nextUpdateSeconds } = parseCrl(der);
  return { der, number: Number.parseInt(toHex(number), 16), thisUpdateSeconds, nextUpdateSeconds };
}
