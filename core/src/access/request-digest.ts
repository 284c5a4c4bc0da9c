// What two people agree on: one request, identified by a digest over all of it (spec/operator-access.md, "Two people").
import { sha256Hex } from '../digest.ts';
import { utf8 } from '../bytes.ts';

export interface RequestToApprove {
  readonly method: string;
  /** As in the request line. */
  readonly path: string;
  /** Canonical JSON; empty where there is none. */
  readonly body: Uint8Array;
}

/** Lower-case hex SHA-256 of `edgekeep-request/v1`, method, path and the hex SHA-256 of the body, each with a line end. */
export function requestDigest({ method, path, body }: RequestToApprove): string {
  const bodyDigest = sha256Hex(body);
  const lines = ['edgekeep-request/v1', method, path, bodyDigest].map((line) => `${line}\n`).join('');
  return sha256Hex(utf8(lines));
}
