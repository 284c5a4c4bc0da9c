// The keys that may sign for the hub (spec/key-list.md, "What a device does"): those that this device was delivered with, which are list number 0,
// until it has learned a list that the root signed. A list is on disk before it is used.
import { keysOfList, type Trust, type TrustedKey, type TrustedLog, withSecondKeys } from '@edgekeep/core/access/trust';
import { classicalPart, encodeVerifierKey } from '@edgekeep/core/audit/note';
import { followKeyList, isStale, type KnownKeyList } from '@edgekeep/core/authority/key-list-follow';
import { keysFor, type ListedKey, logKeyOf, openKeyList } from '@edgekeep/core/authority/key-list';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { replaceBoth } from '@edgekeep/host/two-copies';
import { KeptState } from '../kept-state.ts';

export type LearnedKeys =
  | { readonly kind: 'learned'; readonly number: number }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export class KnownKeys {
  readonly #path: string;
  readonly #pinned: Pick<Trust, 'logs' | 'attestationKeys'>;
  #known: KnownKeyList | undefined;

  private constructor(path: string, pinned: Pick<Trust, 'logs' | 'attestationKeys'>, known: KnownKeyList | undefined) {
    this.#path = path;
    this.#pinned = pinned;
    this.#known = known;
  }

  /**
   * What this device knows: the list in the file, or the pinned keys when there is none, or when it is of a hub or a root that this device was not
   * delivered for. `roots` are all that it ever knew. A list that is lost is learned again.
   */
  static async open(
    path: string,
    pinned: Pick<Trust, 'logs' | 'attestationKeys'>,
    roots: readonly Certificate[],
    kept: KeptState = new KeptState(),
  ): Promise<KnownKeys> {
    const parse = (bytes: Uint8Array): Parsed => {
      const verdict = openKeyList(bytes, roots);
      return { list: verdict.kind === 'refused' || !isOf(pinned.logs, verdict) ? undefined : verdict };
    };
    const known = await kept.read('known-keys', path, { parse, isNewer });
    return new KnownKeys(path, pinned, known?.list);
  }

  /** Those that may sign attestation results, each with its time. */
  get attestationKeys(): readonly TrustedKey[] {
    return this.#keys.attestationKeys;
  }

  /** The hub's logs, oldest first. */
  get logs(): readonly TrustedLog[] {
    return this.#keys.logs;
  }

  /** Of the known list; 0 for the keys that this device was delivered with. */
  get number(): number {
    return this.#known?.list.number ?? 0;
  }

  /** The end of the list, when it is past: a later one may exist. */
  staleSince(nowSeconds: number): number | undefined {
    const list = this.#known?.list;
    return list !== undefined && isStale(list, nowSeconds) ? list.validUntilSeconds : undefined;
  }

  /** Takes a list that follows, durably. `roots` are those that this device trusts now. Throws a CoreError for bytes that are no list. */
  async learn(file: Uint8Array, roots: readonly Certificate[], nowSeconds: number): Promise<LearnedKeys> {
    const verdict = openKeyList(file, roots);
    if (verdict.kind === 'refused') return verdict;
    const followed = followKeyList(
      this.#known ?? { number: 0, keys: pinnedLogs(this.#pinned.logs) },
      verdict,
      nowSeconds,
    );
    if (followed.kind === 'refused') return followed;
    if (followed.kind === 'unchanged') return { kind: 'unchanged' };
    await replaceBoth(this.#path, file);
    this.#known = verdict;
    return { kind: 'learned', number: verdict.list.number };
  }

  get #keys(): Pick<Trust, 'logs' | 'attestationKeys'> {
    if (this.#known === undefined) return this.#pinned;
    const listed = keysOfList(this.#known.list);
    return { ...listed, logs: withSecondKeys(listed.logs, this.#pinned.logs) };
  }
}

/** Without a list: it is of another hub or root. */
interface Parsed {
  readonly list: KnownKeyList | undefined;
}

function isNewer({ list: copy }: Parsed, { list: file }: Parsed): boolean {
  return copy !== undefined && (file === undefined || copy.list.number > file.list.number);
}

function pinnedLogs(logs: readonly TrustedLog[]): readonly ListedKey[] {
  return logs.map(({ key, ...times }) => ({ purpose: 'log', publicKey: key.publicKey, origin: key.name, ...times }));
}

function isOf(pinned: readonly TrustedLog[], { list }: KnownKeyList): boolean {
  const listed = keysFor(list, 'log').map((key) => encodeVerifierKey(logKeyOf(key)));
  return pinned.some(({ key }) => listed.includes(encodeVerifierKey(classicalPart(key))));
}
