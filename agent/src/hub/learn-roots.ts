// Asks the hub for its roots on a bound connection, and reports which of them this device knows (spec/authorities.md, "What a device
// does").
import { parseBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import * as api from '@edgekeep/wire/api/authority';
import type { HubLink } from './connection.ts';
import type { Emit } from '../event.ts';
import { getFromHub, postToHub } from '../hub-api.ts';
import type { KnownRoots, RootUpdate } from './known-roots.ts';

/**
 * Learns, stores, then reports to the hub. Does nothing with a hub that has no such route yet. Throws for an answer that cannot be read.
 */
export async function learnRoots(
  link: Pick<HubLink, 'send' | 'serverChain'>,
  roots: KnownRoots,
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
  if (learned.generalRefused) emit({ kind: 'servers-authority-required' });
  // With only one root, the hub waits for no report.
  if (answer.value.roots.length > 1)
    await postToHub(link.send, '/v1/authorities/known', { root: roots.newest }, api.knownRootResponse);
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
