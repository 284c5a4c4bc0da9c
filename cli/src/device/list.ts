// `edgekeep device list`: every device with its state and its newest appraisal.
import { deviceList, type DeviceView } from '@edgekeep/wire/operator-api';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const command: Command = {
  summary: 'list devices',
  usage: 'device list',
  help: operatorHelp,
  positionals: { least: 0, most: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const devices: DeviceView[] = [];
    for (let after: string | null = ''; after !== null;) {
      const page: { devices: DeviceView[]; next: string | null } = await operator.get(
        `/v1/devices?limit=1000&after=${encodeURIComponent(after)}`,
        deviceList,
      );
      devices.push(...page.devices);
      after = page.next;
    }
    const rows = devices.map((d) => [
      d.id,
      d.tier,
      d.state,
      d.online ? 'online' : 'offline',
      d.appraisal?.status ?? 'never attested',
      timeText(d.seenAt),
      d.appraisal?.reasons[0]?.message.slice(0, 100) ?? '',
    ]);
    const text = table([['DEVICE', 'TIER', 'STATE', 'LINK', 'ATTESTATION', 'SEEN (UTC)', 'WHY'], ...rows]);
    return { exitCode: exitCodes.ok, value: devices, text };
  },
};
