// The roots that may vouch for the hub (spec/authorities.md, "What a device does"): the one that this device was delivered with, and those
// after it, each certified by the one before. A new root is on disk before it is used.
import { toBase64url, toHex, parseBase64url } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { parseCrl, verifyCrl } from '@edgekeep/core/identity/crl';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { validatePath } from '@edgekeep/core/identity/path';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { followRollovers, type OfferedRoot, rolloverProblems, ROOTS_MAX } from '@edgekeep/core/identity/rollover';
import { parseCanonicalJson, encodeCanonicalJson } from '@edgekeep/core/json';
import { replaceBoth } from '@edgekeep/host/two-copies';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { KeptState } from '../kept-state.ts';

const certificate = z.string().max(60_000);
const fields = {
  roots: z
    .array(
      z.strictObject({
        certificate,
        newWithOld: certificate.nullable(),
        oldWithNew: certificate.nullable(),
        /** The newest list of this root, DER. */
        list: z.string().nullable(),
      }),
    )
    .min(1)
    .max(ROOTS_MAX),
  /** The number of oldest roots that are no longer trusted. */
  dropped: z.int().min(0),
};
const present = z.strictObject({
  type: z.literal('edgekeep-known-roots/v2'),
  ...fields,
  /** Whether only a CA for servers may have issued the hub's certificate. Permanent. */
  generalRefused: z.boolean(),
});
type Stored = z.infer<typeof present>;
/** Of the version before, too. */
const schema = z.discriminatedUnion('type', [
  present,
  z
    .strictObject({ type: z.literal('edgekeep-known-roots/v1'), ...fields })
    .transform(({ roots, dropped }) => ({ roots, dropped, generalRefused: false })),
]);

/** One root that a hub has, with its links and list. */
export interface RootUpdate extends OfferedRoot {
  readonly list: Uint8Array | undefined;
  readonly dropped: boolean;
}

export type Learned =
  | {
      readonly kind: 'learned';
      readonly added: readonly string[];
      readonly dropped: readonly string[];
      /** From now on a CA without a class is refused. */
      readonly generalRefused: boolean;
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

interface Known extends OfferedRoot {
  readonly list: Uint8Array | undefined;
}

export class KnownRoots {
  readonly #path: string;
  #roots: readonly Known[];
  #dropped: number;
  #generalRefused: boolean;

  private constructor(path: string, roots: readonly Known[], dropped: number, generalRefused: boolean) {
    this.#path = path;
    this.#roots = roots;
    this.#dropped = dropped;
    this.#generalRefused = generalRefused;
  }

  /**
   * What this device knows: the file's roots from the pinned one on; only the pinned one when the file does not contain it (a different
   * root was delivered). A list that is lost is learned again from the pinned one on.
   */
  static async open(path: string, pinnedPem: string, kept: KeptState = new KeptState()): Promise<KnownRoots> {
    const pinned = parsePem(pinnedPem, 'CERTIFICATE').map(parseCertificate);
    const parse = (bytes: Uint8Array) => {
      const stored = parseCanonicalJson(bytes, schema, path);
      const roots = stored.roots.map(knownOf);
      assertSteps(roots, stored.dropped);
      return { ...stored, roots };
    };
    const stored = await kept.read('known-roots', path, { parse });
    const digests = pinned.map(digestOf);
    const from = stored?.roots.findIndex((root) => digests.includes(digestOf(root.certificate))) ?? -1;
    if (stored === undefined || from === -1) return new KnownRoots(path, pinned.map(withoutLinks), 0, false);
    const { roots, dropped, generalRefused } = stored;
    return new KnownRoots(path, roots.slice(from), Math.max(0, dropped - from), generalRefused);
  }

  /** The roots that vouch for the hub, PEM, oldest first. */
  get trustedPem(): readonly string[] {
    return this.trusted.map(({ der }) => encodePem('CERTIFICATE', der));
  }

  /** The same as certificates. */
  get trusted(): readonly Certificate[] {
    return this.#roots.slice(this.#dropped).map((root) => root.certificate);
  }

  /** Every root that this device ever knew. */
  get all(): readonly Certificate[] {
    return this.#roots.map((root) => root.certificate);
  }

  /** Whether an issuing CA without a class may have issued the hub's certificate: until this device saw that the hub has none any more. */
  get generalAuthority(): 'accepted' | 'refused' {
    return this.#generalRefused ? 'refused' : 'accepted';
  }

  /** SHA-256 of the newest, hex. */
  get newest(): string {
    const last = this.#roots.at(-1);
    return last === undefined ? '' : digestOf(last.certificate);
  }

  /** How many there are. */
  get count(): number {
    return this.#roots.length;
  }

  /** Throws when a certificate in a server's verified chain is on the list of its root. */
  assertNotRevoked(chain: readonly Certificate[]): void {
    for (const { certificate: root, list } of this.#roots) {
      if (list === undefined) continue;
      const { revoked } = parseCrl(list);
      const found = chain.find((each) => equalNames(each.issuer, root.subject) && revoked.has(serialText(each)));
      if (found !== undefined)
        throw new AgentError('hub-refused', `its issuing CA ${serialText(found)} was revoked by the root`);
    }
  }

  /** Trusted roots whose list has ended: it still counts, and nobody knows whether there is a later one. */
  staleLists(nowSeconds: number): readonly { readonly sha256: string; readonly sinceSeconds: number }[] {
    return this.#roots.slice(this.#dropped).flatMap(({ certificate, list }) => {
      const until = list === undefined ? Infinity : parseCrl(list).nextUpdateSeconds;
      return until < nowSeconds ? [{ sha256: digestOf(certificate), sinceSeconds: until }] : [];
    });
  }

  /**
   * Takes what follows from the known roots, durably. `serverChain` is the verified path of the connection that delivered this: older roots end
   * only if the chain is valid without them, and a CA without a class only if one for servers issued the hub's certificate. `issuing` is what
   * the hub's issuing CAs are, as it says.
   */
  async learn(
    updates: readonly RootUpdate[],
    serverChain: readonly Certificate[],
    nowSeconds: number,
    issuing: readonly Certificate[] = [],
  ): Promise<Learned> {
    const before = this.#roots.map((root) => root.certificate);
    const followed = followRollovers(before, updates, nowSeconds);
    if (followed.kind === 'refused') return followed;
    const roots = followed.roots.map((root): Known => {
      const came = updates.find((each) => digestOf(each.certificate) === digestOf(root));
      const known = this.#roots.find((each) => digestOf(each.certificate) === digestOf(root));
      return { certificate: root, links: came?.links ?? known?.links, list: newerList(root, known?.list, came?.list) };
    });
    const dropped = Math.max(this.#dropped, this.#mayDrop(roots, updates, serverChain, nowSeconds));
    const listed = roots.some(({ list }, at) => list !== this.#roots[at]?.list);
    const refuses = !this.#generalRefused && mayRefuseGeneral(serverChain, issuing);
    if (followed.kind === 'unchanged' && dropped === this.#dropped && !listed && !refuses)
      return { kind: 'learned', added: [], dropped: [], generalRefused: false };
    const generalRefused = this.#generalRefused || refuses;
    await replaceBoth(this.#path, encodeCanonicalJson(storedOf(roots, dropped, generalRefused)));
    const gone = roots.slice(this.#dropped, dropped);
    this.#roots = roots;
    this.#dropped = dropped;
    this.#generalRefused = generalRefused;
    const added = roots.slice(before.length);
    return {
      kind: 'learned',
      added: added.map(digestOfKnown),
      dropped: gone.map(digestOfKnown),
      generalRefused: refuses,
    };
  }

  #mayDrop(
    roots: readonly Known[],
    updates: readonly RootUpdate[],
    serverChain: readonly Certificate[],
    atSeconds: number,
  ): number {
    const first = roots.findIndex((root) =>
      updates.every((each) => digestOf(each.certificate) !== digestOfKnown(root) || !each.dropped),
    );
    if (first <= this.#dropped) return this.#dropped;
    const [leaf, ...intermediates] = serverChain;
    if (leaf === undefined) return this.#dropped;
    const anchors = roots.slice(first).map((root) => root.certificate);
    const path = { leaf, intermediates, anchors, atSeconds, purpose: 'tls-server' } as const;
    return validatePath(path).kind === 'valid' ? first : this.#dropped;
  }
}

// The root's own signature says that a CA is for servers; the hub's word, on a connection that needs no other, that it has none without a
// class any more.
function mayRefuseGeneral([, issuer]: readonly Certificate[], issuing: readonly Certificate[]): boolean {
  if (issuer === undefined || issuing.length === 0) return false;
  return classOf(issuer) === 'server' && issuing.every((each) => classOf(each) !== undefined);
}

// Lists only grow. A revocation is permanent: an old list is still true.
function newerList(root: Certificate, known: Uint8Array | undefined, came: Uint8Array | undefined) {
  if (came === undefined) return known;
  const list = parseCrl(came);
  if (verifyCrl(list, root, list.thisUpdateSeconds).kind === 'refused') return known;
  if (known !== undefined && numberOf(parseCrl(known).number) >= numberOf(list.number)) return known;
  return came;
}

function numberOf(number: Uint8Array): bigint {
  return BigInt(`0x${toHex(number)}`);
}

// Each step was valid when it was taken; by now an old root may have ended.
function assertSteps(roots: readonly Known[], dropped: number): void {
  for (const [at, { certificate: root, links }] of roots.entries()) {
    const before = roots[at - 1];
    if (before === undefined) continue;
    const problems =
      links === undefined ? ['no links'] : rolloverProblems(before.certificate, root, links, root.notBeforeSeconds);
    if (problems.length > 0) throw new RangeError(`root ${at + 1}: ${problems.join('; ')}`);
  }
  if (dropped >= roots.length) throw new RangeError('every root is dropped');
}

function knownOf({ certificate: root, newWithOld, oldWithNew, list }: Stored['roots'][number]): Known {
  const read = (text: string) => parseCertificate(parseBase64url(text, 'known roots'));
  return {
    certificate: read(root),
    links:
      newWithOld === null || oldWithNew === null
        ? undefined
        : { newWithOld: read(newWithOld), oldWithNew: read(oldWithNew) },
    list: list === null ? undefined : parseBase64url(list, 'known roots'),
  };
}

function storedOf(roots: readonly Known[], dropped: number, generalRefused: boolean): Stored {
  return {
    type: 'edgekeep-known-roots/v2',
    roots: roots.map(({ certificate: root, links, list }) => ({
      certificate: toBase64url(root.der),
      newWithOld: links === undefined ? null : toBase64url(links.newWithOld.der),
      oldWithNew: links === undefined ? null : toBase64url(links.oldWithNew.der),
      list: list === undefined ? null : toBase64url(list),
    })),
    dropped,
    generalRefused,
  };
}

function withoutLinks(root: Certificate): Known {
  return { certificate: root, links: undefined, list: undefined };
}

function digestOfKnown(root: Known): string {
  return digestOf(root.certificate);
}

function digestOf(root: Certificate): string {
  return toHex(certificateDigest(root));
}
