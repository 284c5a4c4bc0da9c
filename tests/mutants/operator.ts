// Mutants of operators: their tokens, what those may do, and what needs two people.
import type { Mutant } from './mutant.ts';

const token = 'hub/src/people/api-token.ts';
const tokens = 'hub/src/people/token-store.ts';
const approvals = 'hub/src/people/approvals.ts';
const handOver = 'hub/src/people/hand-over.ts';

export const operatorMutants: readonly Mutant[] = [
  {
    id: 'operator/token-expired',
    file: token,
    find: 'if (row.expires_at <= nowMs) return',
    replace: 'if (row.expires_at <= 0) return',
    breaks: 'an API token ends',
  },
  {
    id: 'operator/token-revoked',
    file: token,
    find: 'if (row === undefined || row.revoked_at !== null)',
    replace: 'if (row === undefined)',
    breaks: 'a revoked API token is good for nothing',
  },
  {
    id: 'operator/person-disabled',
    file: token,
    find: 'if (row.personDisabledAt !== null) return',
    replace: 'if (row.personDisabledAt === 0) return',
    breaks: 'the tokens of a disabled person are good for nothing',
  },
  {
    id: 'operator/scope',
    file: 'hub/src/people/roles.ts',
    find: "return granted.includes(scope) || granted.includes('admin');",
    replace: "return granted.includes(scope) || granted.includes('tokens:write') || granted.includes('admin');",
    breaks: 'a token does what its scopes say',
  },
  {
    id: 'operator/scope-at-the-act',
    file: 'hub/src/people/token-authority.ts',
    find: "if (scope !== 'any') assertScope(caller, scope);",
    replace: '',
    breaks: 'the scope is read again in the transaction that acts',
  },
  {
    id: 'operator/narrower',
    file: tokens,
    find: 'if (beyond.length > 0) {',
    replace: 'if (beyond.length > 1) {',
    breaks: 'a token makes others with at most its own scopes',
  },
  {
    id: 'operator/for-others',
    file: tokens,
    find: 'if (wanted.person !== caller.person) {',
    replace: "if (wanted.person === '') {",
    breaks: 'a token makes none for other people',
  },
  {
    id: 'operator/ends-with-parent',
    file: tokens,
    find: 'if (expiresAt <= caller.expiresAtMs) return;',
    replace: 'if (expiresAt >= caller.expiresAtMs || expiresAt > 0) return;',
    breaks: 'a token ends no later than the one that made it',
  },
  {
    id: 'operator/derived-from-parent',
    file: tokens,
    find: 'derivedFrom: isOwn ? caller.tokenSha256 : undefined,',
    replace: 'derivedFrom: isOwn ? undefined : caller.tokenSha256,',
    breaks: 'a token that a thief made ends with the one that was stolen',
  },
  {
    id: 'operator/registered-by-owner',
    file: tokens,
    find: 'if (!isOwn && order.sha256 === undefined) {',
    replace: 'if (isOwn && order.sha256 === undefined && person === undefined) {',
    breaks: 'nobody has the text of a token of somebody else',
  },
  {
    id: 'operator/handed-over-later',
    file: handOver,
    find: 'const expiresAt = Math.min(row.expires_at, caller.expiresAtMs);',
    replace: 'const expiresAt = Math.max(row.expires_at, caller.expiresAtMs);',
    breaks: 'a token that is handed over ends no later than before',
  },
  {
    id: 'operator/claimed-once',
    file: handOver,
    find: 'if (bootstrap === 0)',
    replace: 'if (bootstrap > 1)',
    breaks: 'only the first operator file claims a hub',
  },
  {
    id: 'operator/same-person-approves',
    file: approvals,
    find: 'if (person === row.person) {',
    replace: 'if (caller.tokenSha256 === row.token_sha256) {',
    breaks: 'one person with two tokens is one person',
  },
  {
    id: 'operator/approves-other-request',
    file: approvals,
    find: 'if (digest !== row.digest) {',
    replace: 'if (digest.length !== row.digest.length) {',
    breaks: 'a person approves what they were shown',
  },
  {
    id: 'operator/service-approves',
    file: approvals,
    find: "if (person === undefined) throw refused('not-a-person', 'a service cannot approve: use a token of a person');",
    replace: '',
    breaks: 'a service approves nothing',
  },
  {
    id: 'operator/approval-expired',
    file: approvals,
    find: "if (state === 'waiting' && expiresAt <= nowMs) return 'expired';",
    replace: '',
    breaks: 'a request waits for its approval so long, and no longer',
  },
  {
    id: 'operator/requester-stands',
    file: approvals,
    find: 'const requester = await standing(trx, row.token_sha256, row.scope, nowMs, `the token of ${row.person}`);',
    replace: 'const requester = caller;',
    breaks: 'a request whose token was revoked is not carried out',
  },
  {
    id: 'operator/two-admins',
    file: 'hub/src/doors/operator/two-people.ts',
    find: 'return new Set(holders).size >= 2;',
    replace: 'return new Set(holders).size >= 3;',
    breaks: 'where there are two administrators, root operations take both',
  },
];
