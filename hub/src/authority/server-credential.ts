// What the listeners show of themselves: a key in memory and a certificate of the issuing CA in use, replaced while the hub runs. Connections
// that are open keep what they were opened with.
import type { Server } from 'node:tls';
import { tlsServerOptions } from '@edgekeep/wire/tls';
import type { Clock } from '../clock.ts';
import {
  isTwoThirdsOver,
  issueServerCredential,
  recordHubCertificate,
  type ServerCredential,
} from '../identity/authority.ts';
import type { HubSettings } from '../settings.ts';
import type { Database } from '../store/database.ts';
import type { Authorities } from './authorities.ts';
import { issuerIdOf } from './state.ts';

export interface ServerCredentialParts {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: Pick<HubSettings, 'names' | 'publicUrl'>;
  readonly clock: Clock;
}

export class LiveCredential {
  readonly #parts: ServerCredentialParts;
  readonly #servers = new Set<Pick<Server, 'setSecureContext'>>();
  #credential: ServerCredential;

  private constructor(parts: ServerCredentialParts, credential: ServerCredential) {
    this.#parts = parts;
    this.#credential = credential;
  }

  /** Issues the first one, and the next ones whenever the authorities change so that it has to. */
  static async open(parts: ServerCredentialParts): Promise<LiveCredential> {
    const live = new LiveCredential(parts, await issueRecorded(parts));
    parts.authorities.follow(() => live.#replace());
    return live;
  }

  get current(): ServerCredential {
    return this.#credential;
  }

  /** For a listener that is made now. */
  tlsOptions() {
    const clientAuthoritiesPem = this.#parts.authorities.clientAuthoritiesPem;
    return tlsServerOptions({ ...this.#credential, clientAuthoritiesPem, clientCertificate: 'optional' });
  }

  /** Keeps this listener's credential and authorities up to date. */
  serve(server: Pick<Server, 'setSecureContext'>): void {
    this.#servers.add(server);
  }

  /** Issues the next one when two thirds of this one's life are over, or when that failed after a change of authorities. */
  async renewWhenDue(): Promise<void> {
    if (!this.#stands()) await this.#replace();
  }

  #stands(): boolean {
    const { authorities, clock } = this.#parts;
    const { certificate } = this.#credential;
    return issuerIdOf(certificate) === authorities.active.id && !isTwoThirdsOver(certificate, clock());
  }

  async #replace(): Promise<void> {
    const { authorities } = this.#parts;
    const { certificate } = this.#credential;
    this.#credential = this.#stands()
      ? { ...this.#credential, certificateChainPem: authorities.serverChainPem(certificate) }
      : await issueRecorded(this.#parts);
    const options = this.tlsOptions();
    for (const server of this.#servers) server.setSecureContext(options);
  }
}

async function issueRecorded(parts: ServerCredentialParts): Promise<ServerCredential> {
  const { database, authorities, settings, clock } = parts;
  const { names, publicUrl } = settings;
  const credential = await issueServerCredential(authorities, names, { nowMs: clock(), publicUrl });
  await database.writeAsHub((trx) => recordHubCertificate(trx, credential.certificate, 'server'));
  return credential;
}
