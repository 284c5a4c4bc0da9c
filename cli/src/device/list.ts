// `edgekeep device list`: devices with their state and newest appraisal, all or those that a filter matches.
import { deviceList, type DeviceView } from '@edgekeep/wire/api/device-view';
import { exitCodes, type Command } from '../command.ts';
import { faultText } from '../model/fault-text.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

export const command: Command = {
  usage: 'device list [--filter RSQL] [--sort FIELD]',
  help: `
--filter    an RSQL expression (spec/registry.md) over id, tier, state, attestation, enabled, group, enrollmentGroup, site, holds, fault, seenAt, enrolledAt, tags.KEY, reported.PATH, desired.PATH (default: all devices);
            for example 'tags.line==press;seenAt<-1h', 'state=in=(suspect,quarantined)' or 'fault==model-unsupported'
--sort      id, tier, state, attestation, seenAt or enrolledAt; with a leading - in descending order: --sort=-seenAt (default: id)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, filter: { type: 'string' }, sort: { type: 'string' } },
  async run(args) {
    const operator = await openOperator(args);
    const query = { filter: args.option('filter'), sort: args.option('sort') };
    const devices = await listDevices(operator, query);
    const rows = devices.map((d) => [
      d.id,
      d.tier,
      d.enabled ? d.state : `${d.state}, disabled`,
      d.online ? 'online' : 'offline',
      d.appraisal?.status ?? 'never attested',
      timeText(d.seenAt),
      whyOf(d),
    ]);
    const text = listText(
      [['DEVICE', 'TIER', 'STATE', 'LINK', 'ATTESTATION', 'SEEN (UTC)', 'WHY'], ...rows],
      "--filter chooses some, for example --filter 'state=in=(suspect,quarantined)'",
    );
    return { exitCode: exitCodes.ok, value: devices, text };
  },
};

// For a device that is cut off, the operator's reason comes before the device's own report.
function whyOf(device: DeviceView): string {
  const { state, stateReason, disabledReason, appraisal } = device;
  if (disabledReason !== null) return disabledReason;
  if (state === 'quarantined' || state === 'retired') return stateReason;
  return appraisal?.reasons[0]?.message ?? faultOf(device);
}

function faultOf({ models }: DeviceView): string {
  const found = models.find(({ fault }) => fault !== null);
  return found?.fault == null ? '' : `${found.model}: ${faultText(found.fault)}`;
}

/** All pages of a query. */
export async function listDevices(
  operator: Operator,
  query: { readonly filter?: string | undefined; readonly sort?: string | undefined },
): Promise<readonly DeviceView[]> {
  const devices: DeviceView[] = [];
  for (let after: string | null = ''; after !== null;) {
    const parameters = new URLSearchParams({ limit: '1000', after });
    if (query.filter !== undefined) parameters.set('filter', query.filter);
    if (query.sort !== undefined) parameters.set('sort', query.sort);
    const page: { devices: DeviceView[]; next: string | null } = await operator.get(
      `/v1/devices?${parameters.toString()}`,
      deviceList,
    );
    devices.push(...page.devices);
    after = page.next;
  }
  return devices;
}
