// A person of their own for the attacker: what somebody does with their token is measured at everybody else.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { FleetFile } from '../fleet/member.ts';
import type { ProbeOrder } from './orders.ts';

type Hub = Pick<ProbeOrder, 'fleetFile' | 'operator' | 'token'>;

/** Adds the person and gives a token of theirs, which may read everything. */
export async function otherPersonsToken(order: Hub): Promise<string> {
  const token = `ek_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(token).digest('hex');
  await send(order, '/v1/people', { name: 'mallory' });
  const grants = { person: 'mallory', roles: ['viewer'], scopes: ['audit:read'] };
  await send(order, '/v1/tokens', { name: 'desk', ...grants, sha256, lifeSeconds: 86_400 });
  return token;
}

async function send({ fleetFile, operator, token }: Hub, path: string, body: object): Promise<void> {
  const fleet: FleetFile = JSON.parse(readFileSync(fleetFile, 'utf8'));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const tls = { ca: fleet.root, servername: fleet.serverName };
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ ...operator, ...tls, method: 'POST', path, headers }, (response) => {
      text(response).then(
        (answer) => (response.statusCode === 200 ? resolve() : reject(new Error(`${path}: ${answer}`))),
        reject,
      );
    });
    outgoing.once('error', reject);
    outgoing.end(JSON.stringify(body));
  });
}
