// `edgekeep root-of-trust block|unblock|list`: roots of trust that must not enroll.
import { blockResponse, blockedRootList, unblockResponse } from '@edgekeep/wire/api/admission';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, timeText } from '../table.ts';

export const list: Command = {
  usage: 'root-of-trust list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const value = await pagesOf(operator, {
      path: '/v1/blocked-roots',
      schema: blockedRootList,
      itemsOf: (page) => page.blocked,
    });
    const rows = value.map(({ rootSha256, reason, blockedAt }) => [rootSha256, timeText(blockedAt), reason]);
    return { exitCode: exitCodes.ok, value, text: listText([['ROOT OF TRUST', 'BLOCKED (UTC)', 'WHY'], ...rows]) };
  },
};

export const block: Command = {
  usage: 'root-of-trust block SHA256 --reason TEXT',
  help: `
SHA256      of the SubjectPublicKeyInfo of its key, shown by \`device show\` as the root of trust
--reason    why; a refused device gets it, and it is recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [rootSha256 = ''] = args.positionals;
    const body = { rootSha256, reason: args.required('reason') };
    const value = await (await openOperator(args)).send('POST', '/v1/blocked-roots', body, blockResponse);
    const enrolled =
      value.deviceId === null
        ? ''
        : `\n${value.deviceId} has enrolled with it and keeps running: edgekeep device quarantine ${value.deviceId} --reason …`;
    return { exitCode: exitCodes.ok, value, text: `${value.rootSha256} is blocked${enrolled}` };
  },
};

export const unblock: Command = {
  usage: 'root-of-trust unblock SHA256 --reason TEXT',
  help: `--reason    why; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [root = ''] = args.positionals;
    const path = `/v1/blocked-roots/${encodeURIComponent(root)}/unblock`;
    const body = { reason: args.required('reason') };
    const value = await (await openOperator(args)).send('POST', path, body, unblockResponse);
    return { exitCode: exitCodes.ok, value, text: `${value.rootSha256} is not blocked any more` };
  },
};
