// The OpenAPI documents as the listeners of a hub serve them, in the form of the files in spec/openapi.
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import type { HubWorld } from '../support/hub-world.ts';

export async function servedDocuments({
  hub,
}: HubWorld): Promise<{ readonly device: string; readonly operator: string }> {
  return { device: await served(hub.deviceAddress), operator: await served(hub.operatorAddress) };

  async function served(address: { readonly host: string; readonly port: number }): Promise<string> {
    await using connection = await HubConnection.open({
      ...address,
      serverName: 'localhost',
      authoritiesPem: [hub.rootPem],
      credential: undefined,
    });
    const { status, body } = await connection.request({ method: 'GET', path: '/openapi.json' });
    const text = Buffer.from(body).toString('utf8');
    if (status !== 200) throw new TypeError(`GET /openapi.json: ${status} ${text}`);
    return `${JSON.stringify(JSON.parse(text), undefined, 1)}\n`;
  }
}
