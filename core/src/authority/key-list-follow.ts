// Whether a reader may take an offered key list after the one that it knows (spec/key-list.md, "A reader MUST refuse").
import { encodeVerifierKey } from '../audit/note.ts';
import { type KeyList, keyIdOf, keysFor, type ListedKey, logKeyOf } from './key-list.ts';

const skewSeconds = 300;

/**
 * The keys that a reader was delivered with, before it knows a signed list: list number 0. Only its log key ties it to a hub; its keys for
 * attestation results hold until there is a list.
 */
export interface PinnedKeys {
  readonly number: 0;
  readonly keys: readonly ListedKey[];
}

/** A verified list with its digest. */
export interface KnownKeyList {
  readonly list: KeyList;
  readonly digest: string;
}

export type FollowListVerdict =
  | { readonly kind: 'newer' | 'unchanged' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** `offered` was verified under a trusted root. All reasons are named. */
export function followKeyList(
  known: KnownKeyList | PinnedKeys,
  offered: KnownKeyList,
  nowSeconds: number,
): FollowListVerdict {
  const { list } = offered;
  if ('list' in known && known.digest === offered.digest) return { kind: 'unchanged' };
  const knownNumber = 'list' in known ? known.list.number : known.number;
  const reasons = [
    ...numberProblems(knownNumber, list.number),
    ...('list' in known ? succeedingProblems(known.list, list) : pinnedProblems(known, list)),
    ...dateProblems(list, nowSeconds),
  ];
  return reasons.length === 0 ? { kind: 'newer' } : { kind: 'refused', reasons };
}

/** What is wrong with a list as the successor of another, except for number and dates: the hub and its keys. */
export function succeedingProblems(
  known: Pick<KeyList, 'hub' | 'keys'>,
  { hub, keys }: Pick<KeyList, 'hub' | 'keys'>,
): readonly string[] {
  if (hub !== known.hub) return [`it is the list of another hub, ${hub}`];
  return known.keys.flatMap((key) => {
    const later = keys.find((each) => keyIdOf(each) === keyIdOf(key));
    const name = `the ${key.purpose} key ${keyIdOf(key).slice(0, 16)}`;
    if (later === undefined) return [`${name} is missing`];
    return keyProblems(key, later).map((problem) => `${name} ${problem}`);
  });
}

/** Whether a list is past its date: what it says still holds, but nobody knows whether a later one exists. */
export function isStale({ validUntilSeconds }: Pick<KeyList, 'validUntilSeconds'>, nowSeconds: number): boolean {
  return nowSeconds >= validUntilSeconds;
}

/** What every reader refuses, also one that reads old things and takes a list that is too old: a list that is not of this day or before. */
export function futureProblems({ issuedAtSeconds }: KeyList, nowSeconds: number): readonly string[] {
  return issuedAtSeconds > nowSeconds + skewSeconds ? ['the key list is dated in the future'] : [];
}

function numberProblems(known: number, offered: number): readonly string[] {
  if (offered > known) return [];
  if (offered === known) return [`there are two different lists with the number ${offered}`];
  return [`its number is ${offered}, the known list has ${known}: rolled back`];
}

// An end may be set or moved ahead, a theft may become known. Nothing else of a listed key changes.
function keyProblems(known: ListedKey, later: ListedKey): readonly string[] {
  const problems: string[] = [];
  if (later.purpose !== known.purpose) problems.push(`has another purpose: ${later.purpose}`);
  if (later.origin !== known.origin) problems.push('has another origin');
  if (later.fromSeconds !== known.fromSeconds) problems.push('has another beginning');
  if (known.compromised && !later.compromised) problems.push('was compromised and is not any more');
  if ((later.untilSeconds ?? Infinity) > (known.untilSeconds ?? Infinity)) problems.push('ends later than before');
  return problems;
}

function pinnedProblems({ keys }: PinnedKeys, list: KeyList): readonly string[] {
  const listed = keysFor(list, 'log').map((key) => encodeVerifierKey(logKeyOf(key)));
  const pinned = keysFor({ keys }, 'log').map((key) => encodeVerifierKey(logKeyOf(key)));
  return pinned.some((key) => listed.includes(key)) ? [] : ['it does not contain the log key that was delivered'];
}

function dateProblems(list: KeyList, nowSeconds: number): readonly string[] {
  const old = isStale(list, nowSeconds) ? ['it is too old: it ended, and a later one may exist'] : [];
  return [...futureProblems(list, nowSeconds), ...old];
}
