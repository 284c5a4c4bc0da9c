// What a policy rests on that devices say of themselves, for people.
import type { ClaimUseView } from '@edgekeep/wire/api/policy';

/** One line a statement. */
export function claimLines(claims: readonly ClaimUseView[]): readonly string[] {
  return claims.map(({ statement, claims: names, actions, named }) => {
    const rests = `${statement} rests on ${names.join(', ')}, which devices say of themselves`;
    return named
      ? `${rests} (${actions.join(', ')})`
      : `${rests}, and does not name it: no permit of ${actions.join(', ')}`;
  });
}
