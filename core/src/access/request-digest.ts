// What two people agree on: one request, named by a digest over all of it (spec/operator-access.md, "Two people").
import { createHash } from 'node:crypto';
import { utf8 } from '../bytes.ts';

export interface RequestToApprove {
  readonly method: string;
  /** As it stands in the request line. */
  readonly path: string;
  /** Canonical JSON; empty where there is none. */
  readonly body: Uint8Array;
}

/** Lower-case hex SHA-256 of `edgekeep-request/v1`, method, path and the hex SHA-256 of the body, each with a line end. */
export function requestDigest({ method, path, body }: RequestToApprove): string {
  const bodyDigest = createHash('sha256').update(body).digest('hex');
  const lines = ['edgekeep-request/v1', method, path, bodyDigest].map((line) => `${line}\n`).join('');
  return createHash('sha256').update(utf8(lines)).digest('hex');
}
