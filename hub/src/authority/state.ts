// The authorities as the store has them (spec/authorities.md): roots, oldest first, and the issuing CAs whose keys are here. An immutable
// snapshot: two reads from one snapshot agree.
import { nameIssuer } from '../revocation/certificates.ts';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { type IssuedClass, scopeOf } from '@edgekeep/core/identity/issuing-scope';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import type { Signer } from '@edgekeep/core/signer';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { firstIssuingKeyName, issuingKeyName, readSigner } from '../secrets/hub-keys.ts';
import type { InitialCertificates } from '../secrets/initial-certificates.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { AuthorityClass, IssuingAuthorityRow, IssuingStatus, RootStatus } from '../store/tables/authority.ts';
import type { Tables } from '../store/schema.ts';

export interface RootAuthority {
  /** Of the certificate, hex. */
  readonly sha256: string;
  /** Counts from 1; the column is called `generation`. */
  readonly version: number;
  readonly status: RootStatus;
  readonly certificate: Certificate;
  /** RFC 4210 section 4.4; undefined for the first root. */
  readonly links: { readonly newWithOld: Certificate; readonly oldWithNew: Certificate } | undefined;
  /** DER of the newest list that it signed. */
  readonly list: Uint8Array | undefined;
  readonly overlapEndsAtMs: number | undefined;
}

/** An issuing CA that can sign: its certificate and its key are here. */
export interface IssuingAuthority {
  /** Its key identifier, hex. */
  readonly id: string;
  readonly class: AuthorityClass;
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export interface AuthorityState {
  readonly roots: readonly RootAuthority[];
  /** The root in use. */
  readonly root: RootAuthority;
  /** The CA that issues for each class. */
  readonly active: Readonly<Record<IssuedClass, IssuingAuthority>>;
  /** The CAs whose certificates are accepted, and that answer for them: next, active, retiring. */
  readonly trusted: readonly (IssuingAuthority & { readonly status: IssuingStatus })[];
}

const trustedStatuses: readonly IssuingStatus[] = ['next', 'active', 'retiring'];

/** Id of the issuing CA with this key: the first 160 bits of its SHA-256 (RFC 7093), hex. */
export function issuingIdOf(certificate: Pick<Certificate, 'spki'>): string {
  return toHex(keyIdentifierOf(certificate.spki));
}

/** Id of the issuing CA that a certificate names as its issuer; empty when it names none. */
export function issuerIdOf({ extensions }: Certificate): string {
  return toHex(extensions.authorityKeyIdentifier ?? new Uint8Array(0));
}

/** Reads the snapshot. `known` has the signers of an earlier one: keys are read once. Throws `settings-invalid` when a key is missing. */
export async function readAuthorityState(
  db: Kysely<Tables>,
  keyStore: KeyStore,
  known: ReadonlyMap<string, Signer>,
): Promise<AuthorityState> {
  const roots = await readRoots(db);
  const rows = await db
    .selectFrom('issuing_authority')
    .selectAll()
    .where('status', 'in', trustedStatuses)
    .orderBy('added_at')
    .execute();
  const trusted = await Promise.all(rows.map((row) => openIssuing(row, keyStore, known)));
  const root = roots.find(({ status }) => status === 'current');
  if (root === undefined)
    throw new HubError('store-failed', 'the store names no root in use: restore it from a backup');
  const activeFor = (wanted: IssuedClass) => issuerFor(wanted, trusted);
  const active = { server: activeFor('server'), device: activeFor('device'), workload: activeFor('workload') };
  return { roots, root, active, trusted };
}

// A hub from before there were classes has one CA for all of them, until the root has signed those of each class.
function issuerFor(wanted: IssuedClass, trusted: AuthorityState['trusted']): IssuingAuthority {
  const active = trusted.filter(({ status }) => status === 'active');
  const found = active.find((each) => each.class === wanted) ?? active.find((each) => each.class === 'general');
  if (found !== undefined) return found;
  throw new HubError(
    'store-failed',
    `the store names no issuing CA of class ${wanted} in use: restore it from a backup`,
  );
}

/** The roots, oldest first, as `db` has them: an order reads them in the transaction that acts, and not from the snapshot. */
export async function readRoots(db: Kysely<Tables>): Promise<readonly RootAuthority[]> {
  const rootRows = await db.selectFrom('root_authority').selectAll().orderBy('generation').execute();
  return rootRows.map((row): RootAuthority => {
    const { sha256, generation: version, status, new_with_old: newWithOld, old_with_new: oldWithNew } = row;
    const links =
      newWithOld === null || oldWithNew === null
        ? undefined
        : { newWithOld: parseCertificate(newWithOld), oldWithNew: parseCertificate(oldWithNew) };
    const overlapEndsAtMs = row.overlap_ends_at ?? undefined;
    const certificate = parseCertificate(row.der);
    return { sha256, version, status, certificate, links, list: row.list ?? undefined, overlapEndsAtMs };
  });
}

/** The certificates of the issuing CAs that are accepted, as `db` has them. */
export async function readTrusted(
  db: Kysely<Tables>,
): Promise<readonly { readonly id: string; readonly certificate: Certificate }[]> {
  const rows = await db
    .selectFrom('issuing_authority')
    .select(['id', 'der'])
    .where('status', 'in', trustedStatuses)
    .execute();
  return rows.flatMap(({ id, der }) => (der === null ? [] : [{ id, certificate: parseCertificate(der) }]));
}

async function openIssuing(row: IssuingAuthorityRow, keyStore: KeyStore, known: ReadonlyMap<string, Signer>) {
  if (row.der === null) throw new HubError('store-failed', `the issuing CA ${row.id} has no certificate`);
  const certificate = parseCertificate(row.der);
  const signer = known.get(row.id) ?? (await readIssuingKey(row.id, keyStore));
  return { id: row.id, class: row.class, certificate, signer, status: row.status };
}

/** Throws `settings-invalid` when the key is not in the key store. */
export async function readIssuingKey(id: string, keyStore: KeyStore): Promise<Signer> {
  const names = [issuingKeyName(id), firstIssuingKeyName];
  for (const name of names) {
    const signer = await readSigner(keyStore, name);
    if (signer !== undefined && issuingIdOf({ spki: encodeSpki(signer.publicKey) }) === id) return signer;
  }
  throw new HubError(
    'settings-invalid',
    `the key of the issuing CA ${id} is not in the key store (${names.join(', ')}): restore it from a backup`,
  );
}

/** Moves the initial certificates of a hub into a store that has none; they issued everything until then. */
export async function adoptFirst(
  trx: WriteTransaction,
  first: InitialCertificates & { readonly nowMs: number },
): Promise<void> {
  const { root, issuing, nowMs } = first;
  const sha256 = toHex(certificateDigest(root));
  await trx
    .insertInto('root_authority')
    .values({
      sha256,
      generation: 1,
      status: 'current',
      der: root.der,
      new_with_old: null,
      old_with_new: null,
      list: null,
      added_at: nowMs,
      overlap_ends_at: null,
    })
    .execute();
  for (const certificate of issuing) {
    await trx
      .insertInto('issuing_authority')
      .values({
        id: issuingIdOf(certificate),
        class: scopeOf(certificate)?.certificateClass ?? 'general',
        status: 'active',
        root_sha256: sha256,
        request: null,
        der: certificate.der,
        added_at: nowMs,
        activates_at: null,
        activated_at: nowMs,
        ended_at: null,
        revocation_reason: null,
        final_list: null,
      })
      .execute();
  }
  // A store from before there were several issuing CAs: what is in it is of the only one.
  const [only, ...more] = issuing;
  if (only === undefined || more.length > 0) return;
  const id = issuingIdOf(only);
  await nameIssuer(trx, id);
  await trx.updateTable('hub_certificate').set({ issuer: id }).where('issuer', '=', '').execute();
}
