// `edgekeep token create|revoke`: API tokens with narrow scopes.
import { apiTokenAnswer, apiTokenRevoked } from '@edgekeep/wire/operator-api';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { timeText } from '../table.ts';

export const create: Command = {
  summary: 'make an API token',
  usage: 'token create --name NAME --scope SCOPE… [--days N]',
  help: `
Prints the token once; the hub keeps only its SHA-256.

--name      for people; it stands in the audit log beside what the token did
--scope     may be repeated: devices:read, devices:write, enrolment:write, models:read, models:publish, policy:write, audit:read,
            metrics:read, admin
--days      how long it is valid (default: 90)
${operatorHelp}
`,
  positionals: { least: 0, most: 0 },
  options: {
    ...operatorOption,
    name: { type: 'string' },
    scope: { type: 'string', multiple: true },
    days: { type: 'string' },
  },
  async run(args) {
    const days = Number(args.option('days') ?? '90');
    const scopes = args.all('scope');
    if (!(days > 0)) throw new UsageError('--days is a number above 0');
    if (scopes.length === 0) throw new UsageError('--scope is required');
    const body = { name: args.required('name'), scopes, lifeSeconds: Math.ceil(days * 86_400) };
    const value = await (await openOperator(args)).send('POST', '/v1/tokens', body, apiTokenAnswer);
    return { exitCode: exitCodes.ok, value, text: `${value.token}\nvalid until ${timeText(value.expiresAt)} UTC` };
  },
};

export const revoke: Command = {
  summary: 'end an API token',
  usage: 'token revoke NAME',
  help: `Every token of this name is refused from now on.\n\n${operatorHelp}`,
  positionals: { least: 1, most: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/tokens/${encodeURIComponent(name)}/revoke`;
    const value = await (await openOperator(args)).send('POST', path, {}, apiTokenRevoked);
    return { exitCode: exitCodes.ok, value, text: `${value.revoked} tokens named ${value.name} are revoked` };
  },
};
