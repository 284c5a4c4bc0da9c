// Gets the certificate of a root of which only the digest is known. The connection verifies nothing and is used for this alone: what it brings counts
// by its digest.
import { createHash } from 'node:crypto';
import { connect } from 'node:tls';
import { hostHeader } from '@edgekeep/core/canonical/endpoint';
import { CoreError } from '@edgekeep/core/error';
import { equalBytes } from '@edgekeep/core/bytes';
import { parsePem } from '@edgekeep/core/identity/pem';
import { parseJson } from '@edgekeep/core/json';
import { messageOf } from '@edgekeep/core/message-of';
import { joinRoot } from '../api/node.ts';
import { WireError } from '../error.ts';
import { PreparedSocketAgent, sendRequest } from './exchange.ts';
import { ignoreError, wayTo } from './secure-socket.ts';

const connectTimeoutMs = 10_000;
const limits = { maxResponseLength: 64 * 1024, requestTimeoutMs: 10_000, idleTimeoutMs: 10_000 };

export interface UnknownRoot {
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the certificate. */
  readonly sha256: Uint8Array;
  /** Where it is. */
  readonly path: string;
}

/** The certificate, PEM. Throws `tls-refused` where the answer is another certificate, `unreachable`, `response-invalid`. */
export async function fetchRoot({ host, port, sha256, path }: UnknownRoot): Promise<string> {
  const where = wayTo({ host, port });
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3', timeout: connectTimeoutMs });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', () => resolve());
      socket.once('timeout', () => reject(new Error(`no TLS connection within ${connectTimeoutMs} ms`)));
      socket.once('error', reject);
    }).catch((cause: unknown) => {
      throw new WireError('unreachable', `${where}: ${messageOf(cause)}`, { cause });
    });
    socket.setTimeout(0).on('error', ignoreError);
    const exchange = {
      socket,
      agent: new PreparedSocketAgent(socket),
      host: hostHeader({ host, port }),
      where,
      limits,
    };
    const { body } = await sendRequest(exchange, { method: 'GET', path });
    return rootIn(body, sha256, where);
  } finally {
    socket.on('error', ignoreError).destroy();
  }
}

function rootIn(body: Uint8Array, sha256: Uint8Array, where: string): string {
  let root: string;
  let ders: readonly Uint8Array[];
  try {
    ({ root } = parseJson(body, joinRoot, 'the answer'));
    ders = parsePem(root, 'CERTIFICATE');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new WireError('tls-refused', `${where} is no hub that nodes can join: ${cause.message}`, { cause });
  }
  const [der, ...more] = ders;
  if (der !== undefined && more.length === 0 && equalBytes(createHash('sha256').update(der).digest(), sha256))
    return root;
  throw new WireError(
    'tls-refused',
    `${where} is another hub than the one that made the code, or somebody is in between: its root has another SHA-256`,
  );
}
