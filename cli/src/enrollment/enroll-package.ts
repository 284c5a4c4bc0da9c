// `edgekeep enroll package`: one file that installs on a device what `enroll kit` makes as a folder, for one device or for an enrollment group.
import { rm } from 'node:fs/promises';
import { deviceIdPattern } from '@edgekeep/core/identity/device-id';
import { replaceFile, writeNewFile } from '@edgekeep/host/durable-file';
import { groupTokenResponse } from '@edgekeep/wire/api/enrollment-group';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { countIn, secondsIn } from '../number-option.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { timeText } from '../table.ts';
import { assertMeant, forceHelp } from './kit-doubts.ts';
import { kitFiles, tokenFileName } from './kit-files.ts';
import { hubIn, proxyIn } from './kit-hub.ts';
import {
  type KitRootOfTrust,
  rootOfTrustHelp,
  rootOfTrustIn,
  rootOfTrustOptions,
  rootOfTrustUsage,
} from './kit-root-of-trust.ts';
import { devicePlaceholder, packageScript } from './package-script.ts';

export const command: Command = {
  usage: `enroll package [ID | --enrollment-group NAME --uses N] --out FILE [--model NAME]… ${rootOfTrustUsage} [--idevid] [--hub HOST[:PORT]] [--proxy URL] [--hours N] [--force]`,
  help: `
Writes a shell script with the address of the hub, the root and keys that the device pins, its settings and its enrollment token. On the
device, where the package edgekeep-agent is installed, root runs \`sh FILE\`; nothing else is copied. Without --enrollment-group it is for
one device, works once, and removes itself. It is a secret: only you can read it.

--enrollment-group  for devices of this group with a token for several of them: each runs \`sh FILE DEVICE\`
--uses              how many devices may enroll with it
--out               the file; it does not exist yet
--model             a model to run; may be repeated
${rootOfTrustHelp}
--idevid            without a token: the device has an IDevID of a manufacturer that the hub trusts (docs/manufacturing.md)
--hub               how the device reaches the hub, an IPv6 address with a port in brackets (default: the first name in the hub's certificate, its port)
--proxy             the HTTP proxy on the way there, http://HOST:PORT; where it asks for a user, docs/networks.md says what to add
--hours             how long its token is valid (default: 24)
${forceHelp}
${operatorHelp}
`,
  positionals: { min: 0, max: 1 },
  options: {
    ...operatorOption,
    ...rootOfTrustOptions,
    'enrollment-group': { type: 'string' },
    uses: { type: 'string' },
    out: { type: 'string' },
    model: { type: 'string', multiple: true },
    idevid: { type: 'boolean' },
    hub: { type: 'string' },
    proxy: { type: 'string' },
    hours: { type: 'string' },
    force: { type: 'boolean' },
  },
  async run(args) {
    const order = orderIn(args);
    const operator = await openOperator(args);
    const force = args.flag('force');
    // First: a file that is there already costs no token.
    await writeNewFile(order.out, '');
    try {
      await assertMeant(operator, { ...order, force });
      const { expiresAt, lines } = await write(operator, order);
      const until = expiresAt === undefined ? [] : [`usable until ${timeText(expiresAt)} UTC, ${order.howOften}`];
      const who = order.deviceId === undefined ? ' DEVICE' : '';
      return {
        exitCode: exitCodes.ok,
        value: {
          file: order.out,
          deviceId: order.deviceId ?? null,
          group: order.group ?? null,
          expiresAt: expiresAt ?? null,
        },
        text: [
          ...lines,
          `wrote ${order.out}, a secret: carry it to the device and run there, as root: sh ${order.out}${who}`,
          ...until,
        ].join('\n'),
      };
    } catch (error) {
      await rm(order.out, { force: true });
      throw error;
    }
  },
};

type PackageOrder = ReturnType<typeof orderIn>;

function orderIn(args: Arguments) {
  const [deviceId] = args.positionals;
  const group = args.option('enrollment-group');
  if ((deviceId === undefined) === (group === undefined))
    throw new UsageError('it is for one device (ID) or for an enrollment group (--enrollment-group NAME --uses N)');
  if (deviceId !== undefined && !deviceIdPattern.test(deviceId))
    throw new UsageError('a device id has small letters, digits and hyphens, up to 63');
  const idevid = args.flag('idevid');
  if (group !== undefined && idevid) throw new UsageError('--idevid needs no group: its makers admit the devices');
  const uses = countIn(args, 'uses') ?? 1;
  if (group !== undefined) args.required('uses');
  return {
    deviceId,
    group,
    uses,
    howOften: group === undefined ? 'once' : `${uses} times`,
    idevid,
    lifeSeconds: secondsIn(args, 'hours', 'hours') ?? 24 * 3_600,
    out: args.required('out'),
    models: args.all('model'),
    hub: hubIn(args),
    proxy: proxyIn(args),
    root: rootOfTrustIn(args),
  };
}

async function write(operator: Operator, order: PackageOrder) {
  const { root, idevid, deviceId } = order;
  const kit = await kitFiles(operator, {
    deviceId: deviceId ?? devicePlaceholder,
    tier: root.tier,
    rootOfTrust: root.settings,
    firmwareLog: root.firmwareLog,
    idevid,
    models: order.models,
    hub: order.hub,
    proxy: order.proxy,
  });
  // Last: what fails above costs no token.
  const token = idevid ? undefined : await newToken(operator, order);
  const script = packageScript({
    deviceId,
    files: [...kit.files, ...(token === undefined ? [] : [[tokenFileName, token.token] as const])],
    settingsWithFirmwareLog: withFirmwareLog(root, kit.files.find(([name]) => name === 'agent.json')?.[1]),
    expiresAt: token === undefined ? undefined : Math.floor(token.expiresAt / 1_000),
  });
  await replaceFile(order.out, script);
  return { expiresAt: token?.expiresAt, lines: kit.lines };
}

/** Only root may read the kernel's firmware log; the unit copies it for the agent. */
function withFirmwareLog({ settings }: KitRootOfTrust, text: string | undefined): string | undefined {
  const ofDevice = 'address' in settings && String(settings.address).startsWith('device:');
  if (!ofDevice || text === undefined) return undefined;
  const measuredStart = { firmwareLogFile: '/run/edgekeep/firmware.log' };
  return `${JSON.stringify({ ...JSON.parse(text), measuredStart }, null, 2)}\n`;
}

function newToken(operator: Operator, { deviceId, group, root, uses, lifeSeconds }: PackageOrder) {
  if (group === undefined)
    return operator.send(
      'POST',
      '/v1/enrollment-tokens',
      { deviceId, tier: root.tier, lifeSeconds },
      enrollmentTokenResponse,
    );
  const path = `/v1/enrollment-groups/${encodeURIComponent(group)}/tokens`;
  return operator.send('POST', path, { maxUses: uses, lifeSeconds }, groupTokenResponse);
}
