// The authorities of a running hub: the CA that issues now, the certificates that are accepted, and the chains that are sent. Operator
// requests change the store and then call `reload`, which notifies the followers.
import type { Certificate } from '@edgekeep/core/identity/certificate';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { encodePem } from '@edgekeep/core/identity/pem';
import type { Clock } from '../common/clock.ts';
import type { OwnCertificate } from './expiry.ts';
import { readInitialCertificates } from '../secrets/initial-certificates.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database } from '../store/database.ts';
import type { AuthorityClass } from '../store/tables/authority.ts';
import {
  adoptFirst,
  type AuthorityState,
  issuerIdOf,
  type IssuingAuthority,
  readAuthorityState,
  type RootAuthority,
} from './state.ts';

export class Authorities {
  readonly #database: Database;
  readonly #keyStore: KeyStore;
  readonly #clock: Clock;
  readonly #followers = new Set<() => Promise<void>>();
  #state: AuthorityState;
  #reloading: Promise<void> = Promise.resolve();

  private constructor(database: Database, keyStore: KeyStore, clock: Clock, state: AuthorityState) {
    this.#database = database;
    this.#keyStore = keyStore;
    this.#clock = clock;
    this.#state = state;
  }

  /** Throws `settings-invalid` for a folder without certificates, and `store-failed` for a store that names none in use. */
  static async open(
    folder: string,
    { database, keyStore, clock }: { readonly database: Database; readonly keyStore: KeyStore; readonly clock: Clock },
  ): Promise<Authorities> {
    const known = await database.read.selectFrom('root_authority').select('sha256').limit(1).executeTakeFirst();
    if (known === undefined) {
      const first = await readInitialCertificates(folder);
      await database.writeAsHub((trx) => adoptFirst(trx, { ...first, nowMs: clock() }));
    }
    return new Authorities(
      database,
      keyStore,
      clock,
      await readAuthorityState(database.read, keyStore, new Map<never, never>()),
    );
  }

  get state(): AuthorityState {
    return this.#state;
  }

  /** The root in use: what new devices and operators pin. */
  get root(): Certificate {
    return this.#state.root.certificate;
  }

  /** The CA that issues certificates of this class. */
  activeFor(certificateClass: IssuedClass): IssuingAuthority {
    return this.#state.active[certificateClass];
  }

  /** The issuing CA with this id, if its certificates are accepted. */
  issuing(id: string): IssuingAuthority | undefined {
    return this.#state.trusted.find((issuing) => issuing.id === id);
  }

  /** Every certificate that a client certificate may chain to, PEM. */
  get clientAuthoritiesPem(): readonly string[] {
    const { roots, trusted } = this.#state;
    const all = [...roots.filter(isTrusted), ...trusted];
    return all.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der));
  }

  /** The trusted roots: others verify certificates of this hub with them. */
  get trustedRoots(): readonly Certificate[] {
    return this.#state.roots.filter(isTrusted).map(({ certificate }) => certificate);
  }

  /** For EST (RFC 7030 section 4.1.3): the trusted roots, the links between them, and the issuing CAs. */
  get published(): readonly Certificate[] {
    const { roots, trusted } = this.#state;
    const shown = roots.filter(isTrusted);
    return [
      ...shown.map(({ certificate }) => certificate),
      ...trusted.map(({ certificate }) => certificate),
      ...shown.flatMap(({ links }) => (links === undefined ? [] : [links.newWithOld, links.oldWithNew])),
    ];
  }

  /** The certificate and its issuing CA as a TLS peer needs them, leaf first, without the root. PEM. */
  chainPem(certificate: Certificate): string {
    return pem([certificate, ...this.#issuerOf(certificate)]);
  }

  /**
   * As `chainPem`, followed by every root of the hub, each certified by the one before it. A peer that knows any of these roots finds a
   * path, even after a long absence (spec/authorities.md, "A device that slept").
   */
  serverChainPem(certificate: Certificate): string {
    const { roots, root } = this.#state;
    const nowSeconds = this.#clock() / 1_000;
    const links = roots
      .filter(({ version }) => version <= root.version)
      .flatMap(({ links: own }) => (own === undefined ? [] : [own.newWithOld]))
      .filter(({ notAfterSeconds }) => notAfterSeconds >= nowSeconds)
      .toReversed();
    return pem([certificate, ...this.#issuerOf(certificate), ...links]);
  }

  /** For the expiry page: trusted roots and issuing CAs. */
  get ownCertificates(): readonly OwnCertificate[] {
    const { roots, trusted } = this.#state;
    return [
      ...roots.filter(isTrusted).map(({ version, status, certificate }) => {
        return { name: status === 'current' ? 'root' : `${status} root ${version}`, certificate };
      }),
      ...trusted.map((issuing) => {
        const { id, status, certificate } = issuing;
        const name = issuingText(issuing);
        return { name: status === 'active' ? name : `${status} ${name} ${id.slice(0, 8)}`, certificate };
      }),
    ];
  }

  /** Reads the store again, and notifies every follower when something has changed. */
  async reload(): Promise<void> {
    const done = this.#reloading.then(() => this.#read());
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  /** `follower` runs after each change, before `reload` resolves. */
  follow(follower: () => Promise<void>): void {
    this.#followers.add(follower);
  }

  async #read(): Promise<void> {
    const signers = new Map(this.#state.trusted.map(({ id, signer }) => [id, signer]));
    const next = await readAuthorityState(this.#database.read, this.#keyStore, signers);
    const before = fingerprint(this.#state);
    this.#state = next;
    if (fingerprint(next) === before) return;
    for (const follower of this.#followers) await follower();
  }

  #issuerOf(certificate: Certificate): readonly Certificate[] {
    const issuing = this.issuing(issuerIdOf(certificate));
    return issuing === undefined ? [] : [issuing.certificate];
  }
}

const issuingTexts: Readonly<Record<AuthorityClass, string>> = {
  general: 'issuing CA',
  server: 'issuing CA for servers',
  device: 'issuing CA for devices',
  workload: 'issuing CA for workloads',
};

/** For people: what kind of CA this is. */
export function issuingText(issuing: Pick<IssuingAuthority, 'class'>): string {
  return issuingTexts[issuing.class];
}

function isTrusted({ status }: RootAuthority): boolean {
  return status !== 'dropped';
}

function pem(certificates: readonly Certificate[]): string {
  return certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}

function fingerprint({ roots, trusted }: AuthorityState): string {
  const rootTexts = roots.map(({ sha256, status, list }) => `${sha256} ${status} ${list?.length ?? 0}`);
  return [...rootTexts, ...trusted.map(({ id, status }) => `${id} ${status}`)].join('\n');
}
