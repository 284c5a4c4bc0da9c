// `edgekeep workload disable|enable|history`: a workload's own switch on one device, and its history.
import { counted } from '@edgekeep/core/counted';
import { workloadHistory, workloadSwitched } from '@edgekeep/wire/api/workload';
import { type Arguments, type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

const help = `NAME           the workload
--device       on this device`;
const options = { ...operatorOption, device: { type: 'string' } } as const;

export const disable: Command = {
  usage: 'workload disable NAME --device ID --reason TEXT',
  help: `
Its certificates are revoked and it gets no more until \`workload enable\`. The device and its other workloads keep working.

${help}
--reason       why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...options, reason: { type: 'string' } },
  async run(args) {
    const order = { reason: args.required('reason') };
    const value = await (await openOperator(args)).send('POST', `${pathOf(args)}/disable`, order, workloadSwitched);
    const text = `${value.name} on ${value.deviceId} is disabled; ${counted(value.certificatesRevoked, 'certificate')} revoked`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const enable: Command = {
  usage: 'workload enable NAME --device ID',
  help: `Revoked certificates stay revoked; the agent gets the next one at its next check-in.\n\n${help}\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options,
  async run(args) {
    const value = await (await openOperator(args)).send('POST', `${pathOf(args)}/enable`, {}, workloadSwitched);
    return { exitCode: exitCodes.ok, value, text: `${value.name} on ${value.deviceId} is enabled` };
  },
};

export const history: Command = {
  usage: 'workload history NAME --device ID',
  help: `Newest first, with the audit entry of each change.\n\n${help}\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options,
  async run(args) {
    const value = await (await openOperator(args)).get(`${pathOf(args)}/history`, workloadHistory);
    const rows = value.changes.map((each) => [
      timeText(each.at),
      each.change,
      each.reason,
      each.actor,
      String(each.logIndex),
    ]);
    const text = listText([['AT (UTC)', 'CHANGE', 'REASON', 'BY', 'ENTRY'], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

function pathOf(args: Arguments): string {
  const [name = ''] = args.positionals;
  return `/v1/devices/${encodeURIComponent(args.required('device'))}/workloads/${encodeURIComponent(name)}`;
}
