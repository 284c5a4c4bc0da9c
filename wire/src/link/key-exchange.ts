// Which key exchange the handshake of a connection had, for a server. Node tells a client by name, and a server nothing; OpenSSL's session names
// the group (ssl/ssl_asn1.c: kex_group, a context-specific element 19). A session holds secrets, so its bytes are overwritten.
import type { TLSSocket } from 'node:tls';
import { DerReader, derTag } from '@edgekeep/core/der';
import { CoreError } from '@edgekeep/core/error';

/** `hybrid`: X25519MLKEM768, so that what is recorded today stays secret from a quantum computer. Everything else is `classical`. */
export type KeyExchange = 'hybrid' | 'classical';

const groupTag = 0xb3;
/** IANA, "TLS Supported Groups". */
const hybridGroups: ReadonlySet<number> = new Set([0x11ec]);

/** Of a server's live connection after its handshake. Where it cannot be read, it is `classical`. */
export function keyExchangeOf(socket: Pick<TLSSocket, 'getSession'>): KeyExchange {
  const session = socket.getSession();
  if (session === undefined) return 'classical';
  try {
    const group = groupIn(session);
    return group !== undefined && hybridGroups.has(group) ? 'hybrid' : 'classical';
  } finally {
    session.fill(0);
  }
}

function groupIn(session: Uint8Array): number | undefined {
  try {
    const fields = new DerReader(session, 'TLS session').inside();
    while (!fields.done) {
      const field = fields.any();
      if (field.tag !== groupTag) continue;
      const value = fields.into(field).value(derTag.integer).content;
      return value.reduce((number, byte) => number * 256 + byte, 0);
    }
    return undefined;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
