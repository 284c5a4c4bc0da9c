// A device's connection as raw bytes: bound to its root of trust, and then anything that a test writes to it.
import { once } from 'node:events';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { bindResponse } from '@edgekeep/wire/api/attest';
import { parseBase64url } from '@edgekeep/core/bytes';
import { channelBinding } from '@edgekeep/wire/link/channel-binding';
import { z } from 'zod';
import { zeroNonce } from './device-link.ts';
import type { HubWorld } from './hub-world.ts';
import type { TestDevice } from './test-device.ts';

export interface BareConnection {
  readonly socket: TLSSocket;
  readonly exporter: Uint8Array;
}

/** Connects with the device's certificate, or with none. */
export async function bareConnection(
  world: HubWorld,
  device?: Pick<TestDevice, 'credential'>,
  options: Pick<ConnectionOptions, 'ecdhCurve'> = {},
): Promise<BareConnection> {
  const { host, port } = world.hub.deviceAddress;
  const own =
    device === undefined ? {} : { cert: device.credential.certificateChainPem, key: device.credential.privateKeyPem };
  const socket = connect({
    host,
    port,
    ca: world.hub.rootPem,
    servername: 'localhost',
    minVersion: 'TLSv1.3',
    ...own,
    ...options,
  });
  await once(socket, 'secureConnect');
  return { socket, exporter: channelBinding(socket) };
}

/** The same, and the connection is bound. */
export async function boundConnection(world: HubWorld, device: TestDevice): Promise<BareConnection> {
  const connection = await bareConnection(world, device);
  const evidence = await device.evidence('bind', zeroNonce, connection.exporter);
  await exchange(connection, '/v1/bind', { evidence }, bindResponse);
  return connection;
}

export async function challengeOn(connection: BareConnection): Promise<Uint8Array> {
  const { nonce } = await exchange(connection, '/v1/challenges', {}, z.object({ nonce: z.string() }));
  return parseBase64url(nonce, 'nonce');
}

/** One complete exchange; the connection stays open. */
export async function exchange<T>(
  { socket }: BareConnection,
  path: string,
  body: object,
  schema: z.ZodType<T>,
): Promise<T> {
  const text = JSON.stringify(body);
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}`;
  socket.write(`${head}\r\n\r\n${text}`);
  let answer = '';
  while (!/\r\n\r\n.*\}$/s.test(answer)) answer += String((await once(socket, 'data'))[0]);
  return schema.parse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))));
}
