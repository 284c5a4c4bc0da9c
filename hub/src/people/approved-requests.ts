// Requests that two people approved and that are being carried out now, between the approval and the request's own handler.
import { randomBytes } from 'node:crypto';
import type { Caller } from './api-token.ts';
import type { Scope } from './roles.ts';

/** Carries the approval of a request from this process to itself; an attacker outside would have to guess 256 bits. */
export const approvedHeader = 'edgekeep-approved';

export interface ApprovedRequest {
  /** The requester, then the approver, each with the address of their own request. */
  readonly people: readonly { readonly caller: Caller; readonly address: string }[];
  /** What both need. */
  readonly scope: Scope;
  /** Both people, as the audit log names them. */
  readonly actor: string;
}

/** Requests that are being carried out at this moment. */
export class ApprovedRequests {
  readonly #byKey = new Map<string, ApprovedRequest>();

  add(request: ApprovedRequest): string {
    const key = randomBytes(32).toString('hex');
    this.#byKey.set(key, request);
    return key;
  }

  /** Each is taken once. */
  take(key: unknown): ApprovedRequest | undefined {
    if (typeof key !== 'string') return undefined;
    const found = this.#byKey.get(key);
    this.#byKey.delete(key);
    return found;
  }
}
