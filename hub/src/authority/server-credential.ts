// The credential of the listeners: a key in memory and a certificate of the issuing CA in use, replaced while the hub runs. Open
// connections keep the credential that they were opened with.
import { tls12ServerOptions, tlsServerOptions } from '@edgekeep/wire/link/tls';
import type { Clock } from '../common/clock.ts';
import { isTwoThirdsOver, issueServerCredential, recordHubCertificate, type ServerCredential } from './issue.ts';
import type { Database } from '../store/database.ts';
import type { Authorities } from './authorities.ts';
import { issuerIdOf } from './state.ts';

export interface ServerCredentialDependencies {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: { readonly names: readonly string[]; readonly publicUrl: string | null };
  readonly clock: Clock;
}

/** Which versions a listener speaks: 1.3, or 1.2 as well (spec/est.md, "Gateways with TLS 1.2"). */
export type TlsVersions = '1.3' | '1.2 and 1.3';

/** A listener: takes the next credential while it is open. */
export interface CredentialHolder {
  setSecureContext(options: ReturnType<typeof tlsServerOptions>): void;
}

export class LiveCredential {
  readonly #dependencies: ServerCredentialDependencies;
  readonly #servers = new Map<CredentialHolder, TlsVersions>();
  #credential: ServerCredential;

  private constructor(dependencies: ServerCredentialDependencies, credential: ServerCredential) {
    this.#dependencies = dependencies;
    this.#credential = credential;
  }

  /** Issues the first certificate, and the next one whenever a change of the authorities requires it. */
  static async open(dependencies: ServerCredentialDependencies): Promise<LiveCredential> {
    const live = new LiveCredential(dependencies, await issueRecorded(dependencies));
    dependencies.authorities.follow(() => live.#replace());
    return live;
  }

  get current(): ServerCredential {
    return this.#credential;
  }

  /** For a listener that is being made. */
  tlsOptions(versions: TlsVersions = '1.3') {
    const clientAuthoritiesPem = this.#dependencies.authorities.clientAuthoritiesPem;
    const input = { ...this.#credential, clientAuthoritiesPem, clientCertificate: 'optional' } as const;
    return versions === '1.3' ? tlsServerOptions(input) : tls12ServerOptions(input);
  }

  /** Keeps the credential and the authorities of this listener up to date. */
  serve(server: CredentialHolder, versions: TlsVersions = '1.3'): void {
    this.#servers.set(server, versions);
  }

  /** Issues the next certificate when two thirds of the life of this one are over, or when issuing failed after a change of authorities. */
  async renewWhenDue(): Promise<void> {
    if (!this.#stands()) await this.#replace();
  }

  #stands(): boolean {
    const { authorities, clock } = this.#dependencies;
    const { certificate } = this.#credential;
    // It was made while the clock was ahead: nobody accepts it yet.
    if (certificate.notBeforeSeconds * 1_000 > clock()) return false;
    return issuerIdOf(certificate) === authorities.activeFor('server').id && !isTwoThirdsOver(certificate, clock());
  }

  async #replace(): Promise<void> {
    const { authorities } = this.#dependencies;
    const { certificate } = this.#credential;
    this.#credential = this.#stands()
      ? { ...this.#credential, certificateChainPem: authorities.serverChainPem(certificate) }
      : await issueRecorded(this.#dependencies);
    for (const [server, versions] of this.#servers) server.setSecureContext(this.tlsOptions(versions));
  }
}

async function issueRecorded(dependencies: ServerCredentialDependencies): Promise<ServerCredential> {
  const { database, authorities, settings, clock } = dependencies;
  const { names, publicUrl } = settings;
  const credential = await issueServerCredential(authorities, names, { nowMs: clock(), publicUrl });
  await database.writeAsHub((trx) => recordHubCertificate(trx, credential.certificate, 'server'));
  return credential;
}
