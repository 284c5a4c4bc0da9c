// `edgekeep enroll token list|revoke|hand-over`: enrollment tokens that were made, one-time and of enrollment groups.
import {
  enrollmentTokenHandedOver,
  enrollmentTokenList,
  enrollmentTokenRevoked,
  type EnrollmentTokenView,
} from '@edgekeep/wire/api/enrollment-token';
import { type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, timeText } from '../table.ts';

const pathOf = (id: string, order: string) => `/v1/enrollment-tokens/${encodeURIComponent(id)}/${order}`;

export const list: Command = {
  usage: 'enroll token list [--all]',
  help: `
One-time tokens and those of enrollment groups, by the start of their SHA-256 as in the audit log, with the API token that each ends with.

--all       also those that were used, were revoked or have ended
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, all: { type: 'boolean' } },
  async run(args) {
    const operator = await openOperator(args);
    const state = args.flag('all') ? 'any' : 'usable';
    const tokens = await pagesOf(operator, {
      path: '/v1/enrollment-tokens',
      query: { state },
      schema: enrollmentTokenList,
      itemsOf: (page) => page.tokens,
    });
    const rows = tokens.map((each) => [
      each.id,
      purposeOf(each),
      `${each.uses} of ${each.maxUses}`,
      each.state,
      timeText(each.expiresAt),
      each.endsWith ?? '-',
    ]);
    const head = ['ID', 'FOR', 'USED', 'STATE', 'ENDS (UTC)', 'WITH API TOKEN'];
    return { exitCode: exitCodes.ok, value: { tokens: [...tokens] }, text: listText([head, ...rows]) };
  },
};

export const revoke: Command = {
  usage: 'enroll token revoke ID',
  help: `No device enrolls with it from now on; devices that have enrolled are unchanged. \`edgekeep enroll token list\` shows the ids.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const value = await (await openOperator(args)).send('POST', pathOf(id, 'revoke'), {}, enrollmentTokenRevoked);
    return { exitCode: exitCodes.ok, value, text: `enrollment token ${value.id} revoked` };
  },
};

export const handOver: Command = {
  usage: 'enroll token hand-over ID',
  help: `
An enrollment token ends with the API token that made it. From now on it ends with yours instead, and no later than it would have. Where two people are
needed, the other approves it (\`edgekeep approval approve\`).

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const operator = await openOperator(args);
    const value = await operator.send('POST', pathOf(id, 'hand-over'), {}, enrollmentTokenHandedOver);
    const text = `enrollment token ${value.id} ends with your API token now, ${timeText(value.expiresAt)} UTC`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

function purposeOf({ group, deviceId, tier }: EnrollmentTokenView): string {
  if (group !== null) return `group ${group}`;
  return `${deviceId ?? 'any device'}${tier === null ? '' : `, ${tier}`}`;
}
