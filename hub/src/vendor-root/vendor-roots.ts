// The makers' certificates that this hub node uses, in memory (spec/vendor-roots.md). Read from the store at start and whenever the store
// reports a change; a certificate is parsed once.
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { setImmediate } from 'node:timers/promises';
import { type CertificateIndex, indexCertificates } from '@edgekeep/core/identity/certificate-index';
import { type VendorRootKind, vendorRootKinds } from '@edgekeep/wire/api/vendor-root';
import type { Kysely } from 'kysely';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { VendorRootRow } from '../store/tables/vendor-root.ts';

/** Where paths may end, and their intermediates; of one kind. */
export interface MakerTrust {
  readonly anchors: CertificateIndex;
  readonly intermediates: CertificateIndex;
  /** SHA-256, hex, of the certificates that an operator removed. */
  readonly removed: ReadonlySet<string>;
}

export interface VendorRootCount {
  readonly kind: VendorRootKind;
  readonly roots: number;
  readonly intermediates: number;
  /** Certificates whose end has passed. */
  readonly ended: number;
  /** The next end, in milliseconds; undefined when there is none. */
  readonly nextEndMs: number | undefined;
}

/** A certificate whose end raises alarms. */
export interface WatchedCertificate {
  readonly name: string;
  readonly certificate: Certificate;
  readonly part: 'vendor-roots';
}

/** What is kept of a row besides the certificate. */
type Entry = Pick<VendorRootRow, 'kind' | 'sha256' | 'role' | 'subject' | 'not_after'>;

export class VendorRoots {
  readonly #database: Pick<Database, 'read'>;
  readonly #parsed = new Map<string, Certificate>();
  #version = -1;
  #reading: Promise<void> = Promise.resolve();
  #entries: readonly Entry[] = [];
  #trust: Readonly<Record<VendorRootKind, MakerTrust>> = { tpm: nobody, dice: nobody, idevid: nobody };

  private constructor(database: Pick<Database, 'read'>) {
    this.#database = database;
  }

  static async open(database: Pick<Database, 'read'>): Promise<VendorRoots> {
    const roots = new VendorRoots(database);
    await roots.reload();
    return roots;
  }

  /** Call it each time: a certificate may have been removed a second ago. */
  trust(kind: VendorRootKind): MakerTrust {
    return this.#trust[kind];
  }

  /** Every certificate with a name for people: the end of each raises alarms. */
  watched(): readonly WatchedCertificate[] {
    return this.#entries.flatMap(({ kind, role, sha256, subject }) => {
      const certificate = this.#parsed.get(sha256);
      const name = `${role} of ${kind} makers "${subject}"`;
      return certificate === undefined ? [] : [{ name, certificate, part: 'vendor-roots' as const }];
    });
  }

  /** Of what is trusted here now. */
  get version(): number {
    return this.#version;
  }

  counts(nowMs: number): readonly VendorRootCount[] {
    return countsOf(this.#entries, nowMs);
  }

  /** Reads again if this node or another changed something. Reads run one after the other: an older read never replaces a newer one. */
  async reload(): Promise<void> {
    const done = this.#reading.then(() => this.#read());
    this.#reading = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<void> {
    const { read } = this.#database;
    const version = await vendorRootVersion(read);
    if (version === this.#version) return;
    const rows = await read
      .selectFrom('vendor_root')
      .select(['kind', 'sha256', 'role', 'subject', 'not_after', 'der'])
      .where('removed_at', 'is', null)
      .orderBy('kind')
      .orderBy('sha256')
      .execute();
    const gone = await read
      .selectFrom('vendor_root')
      .select(['kind', 'sha256'])
      .where('removed_at', 'is not', null)
      .execute();
    const present = new Set(rows.map(({ sha256 }) => sha256));
    for (const sha256 of this.#parsed.keys()) if (!present.has(sha256)) this.#parsed.delete(sha256);
    for (const { sha256, der } of rows) {
      if (this.#parsed.has(sha256)) continue;
      this.#parsed.set(sha256, parseForeignCertificate(der));
      // Thousands may come at once, and devices wait for this thread.
      if (this.#parsed.size % parsedAtOnce === 0) await setImmediate();
    }
    const trustOf = (kind: VendorRootKind): MakerTrust => {
      const own = rows.filter((row) => row.kind === kind);
      const parsed = (anchors: boolean) =>
        own
          .filter(({ role }) => (role !== 'intermediate') === anchors)
          .flatMap(({ sha256 }) => this.#parsed.get(sha256) ?? []);
      return {
        anchors: indexCertificates(parsed(true)),
        intermediates: indexCertificates(parsed(false)),
        removed: new Set(gone.filter((row) => row.kind === kind).map(({ sha256 }) => sha256)),
      };
    };
    this.#trust = { tpm: trustOf('tpm'), dice: trustOf('dice'), idevid: trustOf('idevid') };
    this.#entries = rows.map(({ kind, sha256, role, subject, not_after }) => ({
      kind,
      sha256,
      role,
      subject,
      not_after,
    }));
    this.#version = version;
  }
}

/** The number of each kind. */
export function countsOf(
  entries: readonly { readonly kind: VendorRootKind; readonly role: string; readonly not_after: number }[],
  nowMs: number,
): readonly VendorRootCount[] {
  return vendorRootKinds.map((kind) => {
    const own = entries.filter((entry) => entry.kind === kind);
    const ends = own.map((entry) => entry.not_after).filter((end) => end >= nowMs);
    const intermediates = own.filter(({ role }) => role === 'intermediate').length;
    return {
      kind,
      roots: own.length - intermediates,
      intermediates,
      ended: own.length - ends.length,
      nextEndMs: ends.length === 0 ? undefined : ends.reduce((a, b) => Math.min(a, b)),
    };
  });
}

// A certificate takes some tenths of a millisecond.
const parsedAtOnce = 32;

const nobody: MakerTrust = {
  anchors: indexCertificates([]),
  intermediates: indexCertificates([]),
  removed: new Set(),
};

/** With the anchors that enrollment groups add. */
export function withAnchors(
  { anchors }: Pick<MakerTrust, 'anchors'>,
  more: readonly { readonly certificate: Certificate }[],
): CertificateIndex {
  if (more.length === 0) return anchors;
  const added = indexCertificates(more.map(({ certificate }) => certificate));
  return {
    certificates: [...anchors.certificates, ...added.certificates],
    issuersOf: (certificate) => [...anchors.issuersOf(certificate), ...added.issuersOf(certificate)],
  };
}

// A path has at most eight certificates; several authorities of one name may have issued each.
const REACHABLE_MAX = 64;

/** The presented certificates and every intermediate that may be above them: their issuers are looked for among the other anchors. */
export function reachableFrom(
  presented: readonly Certificate[],
  { intermediates }: Pick<MakerTrust, 'intermediates'>,
): readonly Certificate[] {
  const reached = new Set(presented);
  for (const certificate of reached) {
    if (reached.size >= REACHABLE_MAX) break;
    for (const issuer of intermediates.issuersOf(certificate)) reached.add(issuer);
  }
  return [...reached];
}

/** It changes with every certificate that is trusted or removed. */
export async function vendorRootVersion(db: Kysely<Tables>): Promise<number> {
  return (await db.selectFrom('vendor_root_state').select('version').executeTakeFirstOrThrow()).version;
}
