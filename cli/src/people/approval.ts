// `edgekeep approval list|show|approve|refuse`: root operations that wait for a second person (spec/operator-access.md, "Two people").
import { requestDigest } from '@edgekeep/core/access/request-digest';
import { utf8 } from '@edgekeep/core/bytes';
import { approvalList, approvalView, type ApprovalView, approveResponse } from '@edgekeep/wire/api/approval';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const list: Command = {
  usage: 'approval list [--all]',
  help: `
Your requests, and those that you could approve.

--all       also decided and expired requests
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, all: { type: 'boolean' } },
  async run(args) {
    const state = args.flag('all') ? 'any' : 'waiting';
    const value = await (await openOperator(args)).get(`/v1/approvals?state=${state}`, approvalList);
    const rows = value.approvals.map((each) => [
      each.id,
      each.operation,
      each.person,
      timeText(each.requestedAt),
      each.decidedBy === null ? each.state : `${each.state} by ${each.decidedBy}`,
    ]);
    const text = table([['ID', 'OPERATION', 'ASKED BY', 'AT (UTC)', 'STATE'], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const show: Command = {
  usage: 'approval show ID',
  help: `The whole request, and its SHA-256. Compare the SHA-256 with the other person before you approve.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const value = await fetchRequest(args);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

export const approve: Command = {
  usage: 'approval approve ID --digest HEX',
  help: `
Carries out the request of another person once, exactly as \`approval show\` shows it. Both names are recorded in the audit log.

--digest    the SHA-256 from \`approval show\`: exactly what you read is carried out
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, digest: { type: 'string' } },
  async run(args) {
    const digest = args.option('digest');
    if (digest === undefined || !/^[0-9a-f]{64}$/.test(digest)) {
      throw new UsageError(
        `read it first: edgekeep approval show ${args.positionals[0] ?? ''}; then give its whole SHA-256 as --digest`,
      );
    }
    const path = `/v1/approvals/${idOf(args)}/approve`;
    const value = await (await openOperator(args)).send('POST', path, { digest }, approveResponse);
    const answer = JSON.stringify(value.answer, null, 2);
    const done = value.state === 'executed';
    const text = `${done ? 'carried out' : `the hub refused it (status ${value.status})`}\n${answer}`;
    return { exitCode: done ? exitCodes.ok : exitCodes.refused, value, text };
  },
};

export const refuse: Command = {
  usage: 'approval refuse ID --reason TEXT',
  help: `It is never carried out; the requester can ask again.\n\n--reason    why; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const order = { reason: args.required('reason') };
    const path = `/v1/approvals/${idOf(args)}/refuse`;
    const value = await (await openOperator(args)).send('POST', path, order, approvalView);
    return { exitCode: exitCodes.ok, value, text: `refused: ${value.operation}, asked for by ${value.person}` };
  },
};

// The digest is computed here, from the request that is shown: this exposes a hub that shows one request and carries out another.
async function fetchRequest(args: Arguments): Promise<ApprovalView> {
  const value = await (await openOperator(args)).get(`/v1/approvals/${idOf(args)}`, approvalView);
  return { ...value, digest: requestDigest({ ...value, body: utf8(value.body) }) };
}

function idOf(args: Arguments): string {
  return encodeURIComponent(args.positionals[0] ?? '');
}

function textOf(request: ApprovalView): string {
  const { state, decidedBy, decidedAt, reason, status } = request;
  const rows = [
    ['operation', request.operation],
    ['asked by', `${request.person}, ${timeText(request.requestedAt)} UTC`],
    ['waits until', `${timeText(request.expiresAt)} UTC`],
    ['request', `${request.method} ${request.path}`],
    ['body', request.body],
    ['SHA-256', request.digest],
    ['approver needs', request.scope],
    ['state', decidedBy === null ? state : `${state}, by ${decidedBy}, ${timeText(decidedAt ?? 0)} UTC`],
    ...(reason === null ? [] : [['reason', reason]]),
    ...(status === null ? [] : [['answered with', String(status)]]),
  ];
  const next = state === 'waiting' ? `\nedgekeep approval approve ${request.id} --digest ${request.digest}` : '';
  return table(rows) + next;
}
