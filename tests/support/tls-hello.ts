// What the first messages of a TLS 1.3 handshake say in the clear: which groups a client offers, with a share of which, and which one the server
// chose. Read from the bytes between two peers, so it holds for any of them.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** IANA, "TLS Supported Groups". */
const groupNames: ReadonlyMap<number, string> = new Map([
  [0x11ec, 'X25519MLKEM768'],
  [0x001d, 'X25519'],
  [0x0017, 'P-256'],
  [0x0018, 'P-384'],
]);

export interface ClientHello {
  readonly bytes: number;
  readonly offered: readonly string[];
  readonly shares: readonly string[];
}

export interface Handshake {
  /** More than one: the server asked again. */
  readonly hellos: readonly ClientHello[];
  readonly group: string | undefined;
}

export interface HelloRelay extends AsyncDisposable {
  readonly port: number;
  /** What passed on the newest connection. */
  readonly newest: () => Handshake;
}

/** A TCP relay to a server on this machine. */
export async function relayHellos(port: number): Promise<HelloRelay> {
  const open = new Set<Socket>();
  let sent: Buffer[] = [];
  let received: Buffer[] = [];
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    sent = [];
    received = [];
    const [up, down] = [sent, received];
    client.on('data', (part: Buffer) => up.push(part)).pipe(server);
    server.on('data', (part: Buffer) => down.push(part)).pipe(client);
    for (const socket of [client, server]) {
      open.add(socket);
      socket
        .on('error', () => {})
        .once('close', () => {
          client.destroy();
          server.destroy();
          open.delete(socket);
        });
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const address = relay.address();
  const isBound = (value: typeof address): value is AddressInfo => typeof value === 'object' && value !== null;
  if (!isBound(address)) throw new TypeError('no port');
  return {
    port: address.port,
    newest: () => ({ hellos: clientHellos(Buffer.concat(sent)), group: chosenGroup(Buffer.concat(received)) }),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      relay.close();
      await once(relay, 'close');
    },
  };
}

const handshakeRecord = 22;
const clientHello = 1;
const serverHello = 2;
const supportedGroups = 10;
const keyShare = 51;

const nameOf = (group: number) => groupNames.get(group) ?? group.toString(16);

/** The handshake messages that are alone in their record, as hellos are. */
function hellosIn(bytes: Buffer, type: number): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    if (bytes[at] === handshakeRecord && bytes[at + 5] === type && end <= bytes.length) {
      found.push(bytes.subarray(at + 5, end));
    }
    at = end;
  }
  return found;
}

function extensionsOf(hello: Buffer): ReadonlyMap<number, Buffer> {
  // Type, length, version, random; then the session.
  let at = 38 + 1 + hello.readUInt8(38);
  if (hello[0] === clientHello) {
    at += 2 + hello.readUInt16BE(at);
    at += 1 + hello.readUInt8(at);
  } else at += 3;
  const found = new Map<number, Buffer>();
  for (at += 2; at + 4 <= hello.length;) {
    const end = at + 4 + hello.readUInt16BE(at + 2);
    found.set(hello.readUInt16BE(at), hello.subarray(at + 4, end));
    at = end;
  }
  return found;
}

function clientHellos(bytes: Buffer): readonly ClientHello[] {
  return hellosIn(bytes, clientHello).map((hello) => {
    const extensions = extensionsOf(hello);
    const groups = extensions.get(supportedGroups) ?? Buffer.alloc(0);
    const offered: string[] = [];
    for (let at = 2; at < groups.length; at += 2) offered.push(nameOf(groups.readUInt16BE(at)));
    const entries = extensions.get(keyShare) ?? Buffer.alloc(0);
    const shares: string[] = [];
    for (let at = 2; at < entries.length; at += 4 + entries.readUInt16BE(at + 2))
      shares.push(nameOf(entries.readUInt16BE(at)));
    return { bytes: hello.length, offered, shares };
  });
}

function chosenGroup(bytes: Buffer): string | undefined {
  const last = hellosIn(bytes, serverHello).at(-1);
  const share = last === undefined ? undefined : extensionsOf(last).get(keyShare);
  return share === undefined ? undefined : nameOf(share.readUInt16BE(0));
}
