// `edgekeep token create|list|show|revoke|hand-over`: API tokens of people and services (spec/operator-access.md). The token is made here; the hub
// gets its SHA-256 and never sees the text.
import { counted } from '@edgekeep/core/counted';
import { createHash, randomBytes } from 'node:crypto';
import {
  apiTokenResponse,
  apiTokenRevoked,
  handOverResponse,
  tokenList,
  type TokenView,
  tokenView,
} from '@edgekeep/wire/api/people';
import type { z } from 'zod';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, table, timeText } from '../table.ts';

/** A new token, and what the hub gets of it. */
export function newToken(): { readonly token: string; readonly sha256: string } {
  const token = `ek_${randomBytes(32).toString('base64url')}`;
  return { token, sha256: createHash('sha256').update(token).digest('hex') };
}

export const create: Command = {
  usage: 'token create --name NAME (--role ROLE… | --scope SCOPE…) [--days N] [--service | --person NAME --sha256 HEX]',
  help: `
Prints the token once; the hub keeps only its SHA-256. The token is yours unless --service or --person says otherwise.

--name      the token's name, recorded in the audit log with its actions: letters, digits, . _ @ -
--role      viewer, operator, publisher, security or administrator; may be repeated
--scope     one right; may be repeated: devices:read, devices:write, enrollment:write, models:read, models:publish, policy:write, audit:read,
            metrics:read, alerts:read, alerts:write, events:write, tokens:write, admin
--days      how many days it is valid, at most as long as your own (default: 90, or as long as your own)
--service   it belongs to a program and cannot approve anything; it ends with the token that made it, unless somebody takes it over
            (token hand-over)
--person    it belongs to another person, who made it with \`edgekeep token prepare\` and told you its SHA-256
--sha256    the SHA-256 of that token, in hex
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    name: { type: 'string' },
    role: { type: 'string', multiple: true },
    scope: { type: 'string', multiple: true },
    days: { type: 'string' },
    service: { type: 'boolean' },
    person: { type: 'string' },
    sha256: { type: 'string' },
  },
  async run(args) {
    const lifeSeconds = secondsIn(args, 'days', 'days');
    const [scopes, roles] = [args.all('scope'), args.all('role')];
    if (scopes.length + roles.length === 0) throw new UsageError('--role or --scope is required');
    const { owner, token, sha256 } = ownerAndToken(args);
    const body = {
      name: args.required('name'),
      scopes,
      roles,
      sha256,
      ...owner,
      lifeSeconds,
    };
    const answer = await (await openOperator(args)).send('POST', '/v1/tokens', body, apiTokenResponse);
    const text = `${token ?? `registered: ${answer.id}`}\nvalid until ${timeText(answer.expiresAt)} UTC`;
    return { exitCode: exitCodes.ok, value: { ...answer, token: token ?? null }, text };
  },
};

function ownerAndToken(args: Arguments) {
  const person = args.option('person');
  const sha256 = args.option('sha256');
  if ((person === undefined) !== (sha256 === undefined)) {
    throw new UsageError('--person and --sha256 go together: the person makes the token with `edgekeep token prepare`');
  }
  if (person !== undefined && args.flag('service')) throw new UsageError('use --service or --person, not both');
  if (person !== undefined) return { owner: { person }, token: undefined, sha256 };
  return { owner: args.flag('service') ? { service: true } : {}, ...newToken() };
}

export const list: Command = {
  usage: 'token list [--person NAME] [--all]',
  help: `
Owner, rights, end, and when and from which address each was last used (to the minute). Without the scope admin: your own.

--person    only tokens of this person
--all       also those that are revoked or have ended
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, person: { type: 'string' }, all: { type: 'boolean' } },
  async run(args) {
    const tokens = await allTokens(await openOperator(args), {
      state: args.flag('all') ? 'any' : 'valid',
      person: args.option('person'),
    });
    const rows = tokens.map((each) => [
      each.id,
      each.person ?? '(service)',
      each.name,
      each.roles.length > 0 ? each.roles.join(' ') : each.scopes.join(' '),
      endOf(each),
      useOf(each),
    ]);
    const head = ['ID', 'PERSON', 'NAME', 'RIGHTS', 'ENDS (UTC)', 'LAST USED (UTC)'];
    return {
      exitCode: exitCodes.ok,
      value: { tokens: [...tokens] },
      text: listText([head, ...rows], '--person chooses some'),
    };
  },
};

async function allTokens(
  operator: Operator,
  { state, person }: { readonly state: string; readonly person: string | undefined },
): Promise<readonly TokenView[]> {
  const tokens: TokenView[] = [];
  let after: string | null = '';
  while (after !== null) {
    const query = new URLSearchParams({ state, after, limit: '1000', ...(person === undefined ? {} : { person }) });
    const page: z.infer<typeof tokenList> = await operator.get(`/v1/tokens?${query.toString()}`, tokenList);
    tokens.push(...page.tokens);
    after = page.next;
  }
  return tokens;
}

export const show: Command = {
  usage: 'token show ID',
  help: `Owner, rights, maker, and when and from which address it was last used.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const value = await (await openOperator(args)).get(`/v1/tokens/${encodeURIComponent(id)}`, tokenView);
    const rows = [
      ['id', value.id],
      ['name', value.name],
      ['person', value.person ?? '(service)'],
      ['roles', value.roles.join(' ')],
      ['scopes', value.scopes.join(' ')],
      ['made', `${timeText(value.createdAt)} UTC by ${value.createdBy === '' ? 'an unknown token' : value.createdBy}`],
      ['ends', endOf(value)],
      ...(value.endsWith === null ? [] : [['ends with', `token ${value.endsWith} at the latest`]]),
      ['last used', useOf(value)],
    ];
    return { exitCode: exitCodes.ok, value, text: table(rows) };
  },
};

export const revoke: Command = {
  usage: 'token revoke NAME|ID',
  help: `Your tokens of this name, or the one with this id, are refused from now on, and so are the tokens that they made. With the scope admin, a name that
you do not use yourself means the one person who has it; if several people have it, their ids are listed and nothing is ended.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/tokens/${encodeURIComponent(name)}/revoke`;
    const value = await (await openOperator(args)).send('POST', path, {}, apiTokenRevoked);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${counted(value.revoked, 'token')} named ${value.name} revoked`,
    };
  },
};

export const handOver: Command = {
  usage: 'token hand-over ID',
  help: `
A service's token ends with the token that made it. From now on it ends with yours instead, and no later than it would have. Where two people are needed,
the other approves it (\`edgekeep approval approve\`).

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const path = `/v1/tokens/${encodeURIComponent(id)}/hand-over`;
    const value = await (await openOperator(args)).send('POST', path, {}, handOverResponse);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${value.id} ends with your token now, ${timeText(value.expiresAt)} UTC`,
    };
  },
};

function endOf({ expiresAt, revokedAt }: TokenView): string {
  return revokedAt === null ? timeText(expiresAt) : `revoked ${timeText(revokedAt)}`;
}

function useOf({ lastUsedAt, lastUsedFrom }: TokenView): string {
  return lastUsedAt === null ? 'never' : `${timeText(lastUsedAt)} from ${lastUsedFrom ?? 'unknown'}`;
}
