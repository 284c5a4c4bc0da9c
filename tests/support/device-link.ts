// One connection of a device to a hub, and the steps of the device API on it. It sends what the test passes, honest or not.
import { NONCE_LENGTH } from '@edgekeep/core/attest/qualifying-data';
import { parseBase64url } from '@edgekeep/core/bytes';
import type { releaseResponse } from '@edgekeep/wire/api/access';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import type { HubRequest } from '@edgekeep/wire/link/exchange';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import type { z } from 'zod';
import { accepted, type Answer } from './answer.ts';

export const zeroNonce = new Uint8Array(NONCE_LENGTH);

/** The address of a hub's device listener, and its certificates. */
export interface DeviceListener {
  readonly deviceAddress: { readonly host: string; readonly port: number };
  readonly rootPem: string;
}

export type Released = z.infer<typeof releaseResponse>;

/** An answer to a device, as it came. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly answer: Awaited<ReturnType<HubConnection['request']>>;
}

export class DeviceLink {
  static readonly #watching = new Set<(exchange: Exchange) => void>();
  readonly #connection: HubConnection;
  #ending = false;

  private constructor(connection: HubConnection) {
    this.#connection = connection;
  }

  /** Connects, with an operational certificate or without one; from another local address, for example 127.0.0.2, if it is given. */
  static async open(hub: DeviceListener, credential?: TlsClientCredential, from?: string): Promise<DeviceLink> {
    return new DeviceLink(
      await HubConnection.open({
        ...hub.deviceAddress,
        ...(from !== undefined && { localAddress: from }),
        serverName: 'localhost',
        authoritiesPem: [hub.rootPem],
        credential,
      }),
    );
  }

  /** Shows the answers on every link of this process until it is disposed. */
  static watch(watch: (exchange: Exchange) => void): Disposable {
    DeviceLink.#watching.add(watch);
    return { [Symbol.dispose]: () => void DeviceLink.#watching.delete(watch) };
  }

  /** RFC 9266 channel binding. */
  get exporter(): Uint8Array {
    return this.#connection.binding;
  }

  /** Settles when the connection ends. */
  get closed(): Promise<unknown> {
    return this.#connection.closed;
  }

  /** False also when the hub announced that it closes this connection after its last answer, as it does after a body that is no JSON. */
  get connected(): boolean {
    return this.#connection.connected && !this.#ending;
  }

  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Answer> {
    if (body === undefined) return this.#request({ method, path });
    return this.send(method, path, JSON.stringify(body));
  }

  /** As `ask`, with a body that need not be JSON. */
  send(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body: Uint8Array | string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    return this.#request({ method, path, body, headers: { 'content-type': 'application/json', ...headers } });
  }

  async #request(input: HubRequest): Promise<Answer> {
    const answer = await this.#connection.request(input);
    for (const watch of DeviceLink.#watching) watch({ method: input.method, path: input.path, answer });
    const { status, headers, body } = answer;
    this.#ending ||= headers.connection === 'close';
    return { status, body };
  }

  async challenge(): Promise<Uint8Array> {
    const { nonce } = accepted(await this.ask('POST', '/v1/challenges'), challengeResponse);
    return parseBase64url(nonce, 'nonce');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}
