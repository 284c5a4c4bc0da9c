// `edgekeep model show`: the releases of one model, the groups it is for, and its state on its devices.
import { assignedGroups, type DeviceModelView, modelDevices } from '@edgekeep/wire/api/model';
import { modelList } from '@edgekeep/wire/api/model-release';
import type { z } from 'zod';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';
import { listText, table, timeText } from '../table.ts';
import { policyLines, unmetLines } from './release-policy-text.ts';
import { faultText } from './fault-text.ts';

type ModelDevice = z.infer<typeof modelDevices>['devices'][number];

export const command: Command = {
  usage: 'model show MODEL [VERSION]',
  help: `Devices by state: serving, ready (for a program), locked, refused (it cannot use the release, and why), failing (it tries again). With
VERSION only those that hold or refuse that version.

${operatorHelp}`,
  positionals: { min: 1, max: 2 },
  options: operatorOption,
  async run(args) {
    const [name = '', version] = args.positionals;
    const operator = await openOperator(args);
    const { models } = await operator.get('/v1/models', modelList);
    const releases = models.filter((m) => m.name === name && (version === undefined || m.version === version));
    const devices = await devicesOf(operator, name, version);
    const { groups, unmet } = await operator.get(`/v1/models/${encodeURIComponent(name)}/groups`, assignedGroups);
    if (releases.length === 0 && (version !== undefined || groups.length + devices.length === 0)) {
      const what = version === undefined ? `model ${name}` : `release ${name} ${version}`;
      throw new HubRefusal(404, 'not-found', `no ${what}: \`edgekeep model list\` shows all`);
    }
    const states = countsOf(devices);
    const text = [
      table([
        ['RELEASE', 'STATE', 'PUBLISHED', 'MANIFEST'],
        ...releases.map((m) => [
          `${m.name} ${m.version}`,
          m.state,
          m.publishedAt === null ? '-' : timeText(m.publishedAt),
          m.manifestDigest.slice(0, 16),
        ]),
      ]),
      ...policyLines(releases),
      `for groups: ${groups.length === 0 ? 'none: edgekeep model assign' : groups.join(', ')}`,
      ...unmetLines(unmet),
      `devices: ${
        devices.length === 0
          ? 'none has reported it'
          : Object.entries(states)
              .map(([state, count]) => `${count} ${state}`)
              .join(', ')
      }`,
      ...(devices.length === 0
        ? []
        : [
            listText(
              [
                ['DEVICE', 'STATE', 'HOLDS', 'WHY'],
                ...devices.map((d) => [d.deviceId, stateOf(d), d.version ?? '-', whyOf(d)]),
              ],
              '`edgekeep device list --filter holds==MODEL` and --filter fault==CODE choose some',
            ),
          ]),
      ...(devices.some((d) => d.state === 'locked' && d.fault === null)
        ? ['locked: the device has no key. `edgekeep audit show` says why one was refused (release-refused)']
        : []),
    ].join('\n\n');
    return { exitCode: exitCodes.ok, value: { name, groups, unmet, releases, states, devices }, text };
  },
};

async function devicesOf(
  operator: Operator,
  name: string,
  version: string | undefined,
): Promise<readonly ModelDevice[]> {
  const devices: ModelDevice[] = [];
  for (let after: string | null = ''; after !== null;) {
    const query = new URLSearchParams({ limit: '1000', after, ...(version === undefined ? {} : { version }) });
    const path = `/v1/models/${encodeURIComponent(name)}/devices?${query.toString()}`;
    const page: { devices: ModelDevice[]; next: string | null } = await operator.get(path, modelDevices);
    devices.push(...page.devices);
    after = page.next;
  }
  return devices;
}

function stateOf({ state, fault }: DeviceModelView): string {
  if (fault === null) return state;
  return fault.final ? 'refused' : 'failing';
}

function whyOf({ fault, retryOrdered }: DeviceModelView): string {
  return [...(fault === null ? [] : [faultText(fault)]), ...(retryOrdered ? ['to try again'] : [])].join('; ');
}

function countsOf(devices: readonly ModelDevice[]): Readonly<Record<string, number>> {
  const counts = Map.groupBy(devices, stateOf);
  return Object.fromEntries([...counts.keys()].toSorted().map((state) => [state, counts.get(state)?.length ?? 0]));
}
