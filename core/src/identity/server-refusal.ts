// What is wrong with a server that was refused (spec/certificates.md, "A server that is refused"): the hub's own certificate with a fault, or
// the certificate of somebody else. A refusal never depends on it: it explains one.
import type { Certificate } from './certificate.ts';
import { classOf } from './certificate-class.ts';
import { CoreError } from '../error.ts';
import { equalNames } from './distinguished-name.ts';
import { validatePath, validityReasons } from './path.ts';
import { serverNames, type ServerExpectation, verifyServer } from './server-certificate.ts';

export type ServerRefusal =
  /** It was issued under one of the anchors, and is past its time. */
  | { readonly kind: 'expired'; readonly notAfterSeconds: number }
  /** It was issued under one of the anchors for a time to come: as a rule this machine's clock is behind. */
  | { readonly kind: 'not-yet-valid'; readonly notBeforeSeconds: number }
  /** It was issued under one of the anchors, and this is not among its names. */
  | { readonly kind: 'other-name'; readonly names: readonly string[] }
  /** It was issued by a hub, under another root. */
  | { readonly kind: 'other-hub' }
  /** No hub has issued it. */
  | { readonly kind: 'foreign' }
  /** It was issued under one of the anchors, and is refused for another reason. */
  | { readonly kind: 'unfit'; readonly reasons: readonly string[] };

/** `shown` is what the server sent, leaf first, without certificates that cannot be read. It was refused: this says only why. */
export function explainServer(shown: readonly Certificate[], expectation: ServerExpectation): ServerRefusal {
  const [leaf] = shown;
  if (leaf === undefined) return { kind: 'foreign' };
  const verdict = verifyServer(shown, expectation);
  const reasons = verdict.kind === 'refused' ? verdict.reasons : [];
  const chain = chainAtAnyTime(shown, expectation);
  if (chain === undefined) {
    if (reachesAnchor(shown, expectation)) return { kind: 'unfit', reasons };
    return { kind: isOfAHub(leaf) ? 'other-hub' : 'foreign' };
  }
  const { atSeconds } = expectation;
  for (const link of chain) {
    if (validityReasons(link, atSeconds).length === 0) continue;
    const { notBeforeSeconds, notAfterSeconds } = link;
    return atSeconds > notAfterSeconds
      ? { kind: 'expired', notAfterSeconds }
      : { kind: 'not-yet-valid', notBeforeSeconds };
  }
  const names = serverNames(leaf);
  // Under a name that it has, nothing is wrong with it.
  const isFit = names.some((name) => {
    return verifyServer(shown, { ...expectation, name: name.replace('*', 'any') }).kind === 'valid';
  });
  return isFit ? { kind: 'other-name', names } : { kind: 'unfit', reasons };
}

// A certificate is not issued beyond the life of its issuer, and its beginning may be before that of the issuer.
function chainAtAnyTime(
  [leaf, ...intermediates]: readonly Certificate[],
  { anchors }: ServerExpectation,
): readonly Certificate[] | undefined {
  if (leaf === undefined) return undefined;
  for (const atSeconds of [leaf.notAfterSeconds, leaf.notBeforeSeconds]) {
    const path = validatePath({ leaf, intermediates, anchors, atSeconds, purpose: 'any' });
    if (path.kind === 'valid') return path.chain;
  }
  return undefined;
}

// A path that breaks another rule, as a name that its authority may not certify: by the names of issuers, up to one that an anchor signed.
function reachesAnchor(shown: readonly Certificate[], { anchors }: ServerExpectation): boolean {
  let [link] = shown;
  for (let steps = 0; link !== undefined && steps < shown.length; steps += 1) {
    const { issuer, notBeforeSeconds: atSeconds } = link;
    const path = validatePath({ leaf: link, intermediates: [], anchors, atSeconds, purpose: 'any' });
    if (path.kind === 'valid') return true;
    link = shown.find(({ subject }) => equalNames(subject, issuer));
  }
  return false;
}

function isOfAHub(leaf: Certificate): boolean {
  try {
    return classOf(leaf) !== undefined;
  } catch (error) {
    // Two classes, or one of a later version: no other program writes our policies.
    if (error instanceof CoreError) return true;
    throw error;
  }
}
