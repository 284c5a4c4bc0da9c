// `edgekeep workload declare|list|remove`: the programs on devices that get their own certificates (spec/workload.md).
import { counted } from '@edgekeep/core/counted';
import {
  declarationList,
  declarationView,
  type DeclarationView,
  deviceWorkloadList,
  workloadRemoved,
} from '@edgekeep/wire/api/workload';
import { type Arguments, type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

const targetOptions = { device: { type: 'string' }, group: { type: 'string' } } as const;

export const declare: Command = {
  usage: 'workload declare NAME (--device ID | --group NAME) [--description TEXT]',
  help: `
Its agent then gets certificates with the SPIFFE ID spiffe://TRUST-DOMAIN/device/ID/workload/NAME.

NAME           a-z, 0-9 and hyphens; at most 63
--device       on this device
--group        on every device of this group, now and later
--description  for people
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, ...targetOptions, description: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const description = args.option('description') ?? '';
    const order = { name, ...targetOf(args), description };
    const value = await (await openOperator(args)).send('POST', '/v1/workloads', order, declarationView);
    return { exitCode: exitCodes.ok, value, text: `${value.name} is declared for ${placeOf(value)}` };
  },
};

export const list: Command = {
  usage: 'workload list [--device ID | --group NAME]',
  help: `
The declared workloads. With --device: all workloads of that device, its own and those of its groups, with their certificates.

--device       of one device
--group        of one group
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, ...targetOptions },
  async run(args) {
    const device = args.option('device');
    if (device !== undefined && args.option('group') === undefined) return listOnDevice(args, device);
    const query = new URLSearchParams(device === undefined && args.option('group') === undefined ? {} : targetOf(args));
    const value = await (await openOperator(args)).get(`/v1/workloads?${query.toString()}`, declarationList);
    const rows = value.workloads.map((each) => [each.name, placeOf(each), timeText(each.declaredAt), each.description]);
    const text = listText([['NAME', 'DECLARED FOR', 'AT (UTC)', ''], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

async function listOnDevice(args: Arguments, device: string): Promise<Outcome> {
  const path = `/v1/devices/${encodeURIComponent(device)}/workloads`;
  const value = await (await openOperator(args)).get(path, deviceWorkloadList);
  const rows = value.workloads.map((each) => [
    each.name,
    each.declaredFor.join(' ') || '(no more)',
    each.certificateNotAfter === null ? 'none' : timeText(each.certificateNotAfter),
    each.enabled ? '' : `disabled: ${each.disabledReason ?? ''}`,
  ]);
  const text = listText([['NAME', 'DECLARED FOR', 'CERTIFICATE ENDS (UTC)', ''], ...rows]);
  return { exitCode: exitCodes.ok, value, text };
}

export const remove: Command = {
  usage: 'workload remove NAME (--device ID | --group NAME)',
  help: `
It gets no more certificates. On one device its certificates are revoked at once, unless a group still declares it; those of a group's devices
run out within hours (\`workload disable\` ends them on one device now).

--device       on this device
--group        on every device of this group
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, ...targetOptions },
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/workloads/${encodeURIComponent(name)}/remove`;
    const value = await (await openOperator(args)).send('POST', path, targetOf(args), workloadRemoved);
    const text = `${value.name} is no longer declared there; ${counted(value.certificatesRevoked, 'certificate')} revoked`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

function targetOf(args: Arguments): Record<string, string> {
  const [device, group] = [args.option('device'), args.option('group')];
  if (device !== undefined && group === undefined) return { device };
  if (group !== undefined && device === undefined) return { group };
  throw new UsageError('use either --device or --group');
}

function placeOf({ device, group }: DeclarationView): string {
  return device === null ? `group ${group ?? ''}` : `device ${device}`;
}
