// Asks the hub for its roots and its key list on a bound connection, and reports which of them this device knows (spec/authorities.md, "What a
// device does"; spec/key-list.md).
import { parseBase64url, utf8 } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import * as api from '@edgekeep/wire/api/authority';
import type { HubLink } from './connection.ts';
import type { Emit } from '../event.ts';
import { getFromHub, postToHub } from '../hub-api.ts';
import type { KnownKeys } from './known-keys.ts';
import type { KnownRoots, RootUpdate } from './known-roots.ts';

/**
 * Learns, stores, then reports to the hub. Does nothing with a hub that has no such route yet. Throws for an answer that cannot be read.
 */
export async function learnRoots(
  link: Pick<HubLink, 'send' | 'serverChain'>,
  roots: KnownRoots,
  keys: KnownKeys,
  { clock, emit }: { readonly clock: () => number; readonly emit: Emit },
): Promise<void> {
  const serverChain = link.serverChain ?? [];
  const answer = await getFromHub(link.send, '/v1/authorities', api.authoritiesResponse);
  if (answer.kind === 'refused') return;
  const issuing = answer.value.issuing.map(({ certificate }) =>
    parseCertificate(parseBase64url(certificate, 'issuing CA')),
  );
  const nowSeconds = Math.floor(clock() / 1_000);
  const learned = await roots.learn(updatesIn(answer.value), serverChain, nowSeconds, issuing);
  if (learned.kind === 'refused') {
    emit({ kind: 'roots-refused', reasons: learned.reasons });
    return;
  }
  for (const sha256 of learned.added) emit({ kind: 'root-learned', sha256 });
  for (const sha256 of learned.dropped) emit({ kind: 'root-dropped', sha256 });
  for (const { sha256, sinceSeconds } of roots.staleLists(nowSeconds))
    emit({ kind: 'root-list-too-old', sha256, since: sinceSeconds * 1_000 });
  if (learned.generalRefused) emit({ kind: 'servers-authority-required' });
  await learnKeys(answer.value.keyList, roots, keys, nowSeconds, emit);
  // With only one root and no list, the hub waits for no report.
  const known = keys.number > 0 && typeof answer.value.keyList === 'string' ? { keyList: keys.number } : {};
  if (answer.value.roots.length > 1 || 'keyList' in known)
    await postToHub(link.send, '/v1/authorities/known', { root: roots.newest, ...known }, api.knownRootResponse);
}

// After the roots: the list may be signed by one that was learned just now.
async function learnKeys(
  file: string | null | undefined,
  roots: KnownRoots,
  keys: KnownKeys,
  nowSeconds: number,
  emit: Emit,
): Promise<void> {
  if (typeof file === 'string') {
    const learned = await keys.learn(utf8(file), roots.trusted, nowSeconds);
    if (learned.kind === 'refused') emit({ kind: 'key-list-refused', reasons: learned.reasons });
    if (learned.kind === 'learned') emit({ kind: 'key-list-learned', number: learned.number });
  }
  const since = keys.staleSince(nowSeconds);
  if (since !== undefined) emit({ kind: 'key-list-too-old', number: keys.number, since: since * 1_000 });
}

function updatesIn(answer: api.AuthoritiesResponse): readonly RootUpdate[] {
  const offered = api.offeredRootsOf(answer);
  return answer.roots.flatMap(({ status, list }, at) => {
    const root = offered[at];
    if (root === undefined) return [];
    const der = list === null ? undefined : parseBase64url(list, 'list');
    return [{ ...root, list: der, dropped: status === 'dropped' }];
  });
}
