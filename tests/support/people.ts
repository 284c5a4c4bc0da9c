// People with their own tokens at a hub: for operations that one person cannot do alone.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { parseJson } from '@edgekeep/core/json';
import { approvalRequired, type ApprovalRequired, approvalView, type ApprovalView } from '@edgekeep/wire/api/approval';
import { accepted } from './answer.ts';
import type { HubWorld } from './hub-world.ts';

export class TestPerson {
  readonly name: string;
  readonly token: string;
  readonly #world: HubWorld;

  constructor(world: HubWorld, name: string, token: string) {
    this.#world = world;
    this.name = name;
    this.token = token;
  }

  ask(method: string, path: string, body?: object) {
    return this.#world.askOperator(method, path, {
      token: this.token,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Requests a root operation, which must wait. */
  async waits(method: string, path: string, body?: object): Promise<ApprovalRequired['approvalRequired']> {
    const answer = await this.ask(method, path, body);
    assert.equal(answer.status, 202, Buffer.from(answer.body).toString());
    return parseJson(answer.body, approvalRequired, 'answer').approvalRequired;
  }

  approve({ id, digest }: { readonly id: string; readonly digest: string }) {
    return this.ask('POST', `/v1/approvals/${id}/approve`, { digest });
  }

  async approval(id: string): Promise<ApprovalView> {
    return accepted(await this.ask('GET', `/v1/approvals/${id}`), approvalView);
  }
}

/** The person of `operator.json`. */
export async function firstPerson(world: HubWorld): Promise<TestPerson> {
  return new TestPerson(world, 'admin', await world.adminToken());
}

export interface NewToken {
  readonly token: string;
  readonly sha256: string;
}

export function newToken(): NewToken {
  const token = `ek_${randomBytes(32).toString('base64url')}`;
  return { token, sha256: createHash('sha256').update(token).digest('hex') };
}

/** `by` registers a token that another person made. */
export function registration(person: string, { sha256 }: NewToken, role = 'administrator', lifeSeconds = 86_400) {
  return { name: 'desk', roles: [role], person, sha256, lifeSeconds };
}

/** Adds another person with a role; by `first` alone, or with `second` where that is needed. */
export async function addPerson(
  world: HubWorld,
  name: string,
  { role = 'administrator', second }: { readonly role?: string; readonly second?: TestPerson } = {},
): Promise<TestPerson> {
  const first = await firstPerson(world);
  const made = newToken();
  for (const [path, body] of [
    ['/v1/people', { name }],
    ['/v1/tokens', registration(name, made, role)],
  ] as const) {
    if (second === undefined) assert.equal((await first.ask('POST', path, body)).status, 200);
    else assert.equal((await second.approve(await first.waits('POST', path, body))).status, 200);
  }
  return new TestPerson(world, name, made.token);
}
