// The authority of an operator's request: a valid token with the scope that the route needs.
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Authority } from '../store/authority.ts';
import { assertScope, type Caller, findCaller } from './api-token.ts';
import type { Scope } from './roles.ts';

/** Token, person and scope as the store has them at the moment of the act. Also the clock, because a token may expire meanwhile. */
export function tokenAuthority(
  { tokenSha256 }: Pick<Caller, 'tokenSha256'>,
  scope: Scope | 'any',
  clock: Clock,
): Authority {
  return {
    name: `token ${tokenSha256} ${scope}`,
    async stands(db) {
      const caller = await findCaller(db, tokenSha256, clock());
      if (typeof caller === 'string') throw new HubError('token-refused', caller);
      if (scope !== 'any') assertScope(caller, scope);
    },
  };
}
