// How many bytes of a body each kind of route reads: the size of its largest legal request and no more. There is no default: a route that
// takes a body without a limit does not start (`assertLimits`). docs/api-limits.md lists every route with its limit.
import { FORK_PROOF_BYTES_MAX } from '@edgekeep/core/audit/fork-proof';
import { NOTE_BYTES_MAX } from '@edgekeep/core/audit/note';
import { EVIDENCE_BYTES_MAX } from '@edgekeep/core/attest/evidence';
import { IMA_POLICY_ORDER_BYTES_MAX } from '@edgekeep/wire/api/ima-policy';
import { VENDOR_ROOT_ORDER_BYTES_MAX } from '@edgekeep/wire/api/vendor-root';
import { IMA_PIECE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import type { HTTPMethods } from 'fastify';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

export const bodyBytes = {
  /** Nothing, or `{}`. */
  none: kibibyte,
  /** A few names and a reason of 500 characters, each up to six bytes; a filter of 2,048. */
  order: 16 * kibibyte,
  /** Tags or attributes with their keys, on several lines. */
  document: 96 * kibibyte,
  /** Two lists of 1,000 names. */
  names: 160 * kibibyte,
  /** 10,000 names or digests in one order. */
  manyNames: mebibyte,
  /** PEM texts of 100,000 characters. */
  certificates: 128 * kibibyte,
  /** A policy of 256 KiB with its tests; or a draft with the table of countries that it is tried on. */
  policy: 4 * mebibyte,
  /** 512 certificates of makers in base64. */
  vendorRoots: VENDOR_ROOT_ORDER_BYTES_MAX,
  /** 20,000 networks. */
  networks: 2 * mebibyte,
  /** A manifest of 500 KiB, and a bundle of 700,000 characters with escaped quotation marks. */
  release: Math.ceil(2.25 * mebibyte),
  /** A document of 1 MiB and its bundle. */
  referenceValues: Math.ceil(1.75 * mebibyte),
  /** A document of 24 MiB and its bundle. */
  imaPolicy: IMA_POLICY_ORDER_BYTES_MAX + 2 * mebibyte,
  /** A device id. */
  deviceId: kibibyte,
  /** Two certificate chains and two keys: nine certificates of 12,000 characters. */
  identity: 128 * kibibyte,
  /** Both logs at their limits, a certificate request, and the signed data. */
  evidence: EVIDENCE_BYTES_MAX + 48 * kibibyte,
  /** One piece of an IMA log, base64url. */
  imaPiece: Math.ceil((IMA_PIECE_BYTES_MAX * 4) / 3) + kibibyte,
  /** A signed note with escaped line ends. */
  note: NOTE_BYTES_MAX + 64 * kibibyte,
  /** Counts, models with their faults, attributes, and a fork proof. */
  report: FORK_PROOF_BYTES_MAX + 384 * kibibyte,
  /** A certificate request of 22,000 characters. */
  certificateRequest: 32 * kibibyte,
  /** A certificate revocation list of 16 KiB, base64url. */
  rootList: 32 * kibibyte,
  /** A signed key list of 128 KiB as text, whose quotation marks take two bytes. */
  keyList: 256 * kibibyte,
  /** A text of 4,096 characters, each up to six bytes. */
  message: 32 * kibibyte,
} as const;

// Lists of names, tests of a policy, networks with their countries. Everything else has a few hundred values at most.
const valuesOfLists: ReadonlyMap<number, number> = new Map([
  [bodyBytes.names, 4_096],
  [bodyBytes.manyNames, 16_384],
  [bodyBytes.policy, 65_536],
  [bodyBytes.networks, 131_072],
]);
const VALUES_MAX = 1_024;

/** How many JSON values a body with this limit may have. */
export function maxValuesFor(bodyLimit: number): number {
  return valuesOfLists.get(bodyLimit) ?? VALUES_MAX;
}

/** What a route declares when it is registered. */
export interface DeclaredRoute {
  readonly method: HTTPMethods | HTTPMethods[];
  readonly url: string;
  readonly bodyLimit?: number | undefined;
  readonly config?: { readonly who?: string } | undefined;
}

const methodsWithBody: ReadonlySet<string> = new Set(['DELETE', 'OPTIONS', 'PATCH', 'POST', 'PUT']);

/** Whether a route of this method reads a body. */
export function readsBody(method: HTTPMethods | HTTPMethods[]): boolean {
  return [method].flat().some((each) => methodsWithBody.has(each));
}

/** For `onRoute`: finds our own mistake at start. */
export function assertLimit({ method, url, bodyLimit }: DeclaredRoute): void {
  if (readsBody(method) && bodyLimit === undefined)
    throw new TypeError(
      `${String(method)} ${url} takes a body and says no bodyLimit: see hub/src/doors/http/body-limits.ts`,
    );
}
