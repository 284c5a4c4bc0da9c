// `edgekeep enrollment-group create|list|show|token|limit|disable|enable|delete`: devices that come with one kind of proof, and what each of them gets.
import { counted } from '@edgekeep/core/counted';
import { readFile } from 'node:fs/promises';
import { tiers } from '@edgekeep/core/attest/tier';
import { attributesSchema } from '@edgekeep/wire/api/attributes';
import * as api from '@edgekeep/wire/api/enrollment-group';
import { exitCodes, type Command } from '../command.ts';
import { countIn, secondsIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, table, timeText } from '../table.ts';
import { pairOf } from '../registry/tag.ts';
import { readJson } from '../person-file.ts';

const pathOf = (name: string) => `/v1/enrollment-groups/${encodeURIComponent(name)}`;

export const create: Command = {
  usage:
    'enrollment-group create NAME --kind KIND [--certificate PEM | --authority SHA256] [--id-prefix TEXT] [--tier TIER] [--devices N] [--needs-token] [--tag KEY=VALUE]… [--group NAME]… [--desired FILE] [--site NAME | --site-by-address] [--description TEXT]',
  help: `
--kind             the proof of its devices: manifest (an import lists them), token (a token of the group), ca (an IDevID of a
                   manufacturer's CA), endorsement-root (a TPM of a vendor)
--certificate      the CA, or the vendor's root or intermediate, as PEM
--authority        SHA-256 of the public key (SubjectPublicKeyInfo) of an authority of a TPM maker that the hub has (edgekeep vendor-root list --json)
--id-prefix        device ids must begin with it (default: any)
--tier             ${tiers.join(', ')} (default: any)
--devices          how many devices may enroll by it (default: any number)
--needs-token      a token is also needed: a one-time token or one of the group
--tag              copied to each device; may be repeated
--group            a group with named members that each device joins; may be repeated
--desired          a JSON object: desired attributes of each device
--site             the site of its devices
--site-by-address  the site whose network contains the address that they enroll from
--description      for people
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...operatorOption,
    kind: { type: 'string' },
    certificate: { type: 'string' },
    authority: { type: 'string' },
    'id-prefix': { type: 'string' },
    tier: { type: 'string' },
    devices: { type: 'string' },
    'needs-token': { type: 'boolean' },
    tag: { type: 'string', multiple: true },
    group: { type: 'string', multiple: true },
    desired: { type: 'string' },
    site: { type: 'string' },
    'site-by-address': { type: 'boolean' },
    description: { type: 'string' },
  },
  async run(args) {
    const [name = ''] = args.positionals;
    const certificate = args.option('certificate');
    const desired = args.option('desired');
    const body = {
      name,
      kind: args.required('kind'),
      description: args.option('description'),
      certificate: certificate === undefined ? undefined : await readFile(certificate, 'utf8'),
      authoritySha256: args.option('authority'),
      maxDevices: countIn(args, 'devices'),
      groups: args.all('group'),
      terms: {
        idPrefix: args.option('id-prefix'),
        tier: args.option('tier'),
        needsToken: args.flag('needs-token'),
        tags: Object.fromEntries(args.all('tag').map(pairOf)),
        desired: desired === undefined ? undefined : await readJson(desired, attributesSchema),
        site: args.option('site'),
        siteByAddress: args.flag('site-by-address'),
      },
    };
    const operator = await openOperator(args);
    const value = await operator.send('POST', '/v1/enrollment-groups', body, api.enrollmentGroupView);
    const next = {
      manifest: `list its devices: edgekeep device import FILE, with "enrollmentGroup":"${name}" on each line`,
      token: `make its token: edgekeep enrollment-group token ${name} --uses N`,
      ca: 'devices with an IDevID of this CA may enroll',
      'endorsement-root': 'devices with a TPM of this vendor may enroll',
    }[value.kind];
    return { exitCode: exitCodes.ok, value, text: `enrollment group ${value.name} made; ${next}` };
  },
};

export const list: Command = {
  usage: 'enrollment-group list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const found = await pagesOf(operator, {
      path: '/v1/enrollment-groups',
      schema: api.enrollmentGroupList,
      itemsOf: (page) => page.groups,
    });
    const rows = found.map((group) => [group.name, group.kind, placesOf(group), stateOf(group), group.description]);
    const text = listText([['GROUP', 'KIND', 'DEVICES', 'STATE', 'DESCRIPTION'], ...rows]);
    return { exitCode: exitCodes.ok, value: found, text };
  },
};

export const show: Command = {
  usage: 'enrollment-group show NAME',
  help: `Tokens are shown by the start of their SHA-256, as in the audit log.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).get(pathOf(name), api.enrollmentGroupDetail);
    const { terms } = value;
    const text = table([
      ['enrollment group', value.name],
      ['kind', value.kind],
      ['state', stateOf(value)],
      ['devices', placesOf(value)],
      ['listed', value.kind === 'manifest' ? String(value.listed) : '-'],
      ['authority', value.authoritySha256 ?? '-'],
      ['device ids', terms.idPrefix === '' ? 'any' : `${terms.idPrefix}…`],
      ['tier', terms.tier ?? 'any'],
      ['token as well', terms.needsToken ? 'yes' : 'no'],
      ['site', terms.site ?? (terms.siteByAddress ? 'by address' : '-')],
      ...Object.entries(terms.tags).map(([key, tag]) => ['tag', `${key}=${tag}`]),
      ...value.groups.map((group) => ['joins', group]),
      ...(terms.desired === undefined ? [] : [['desired', JSON.stringify(terms.desired)]]),
      ...value.tokens.map((token) => [
        'token',
        `${token.token}  ${token.state}: used ${token.uses} of ${token.maxUses}, until ${timeText(token.expiresAt)}`,
      ]),
    ]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const token: Command = {
  usage: 'enrollment-group token NAME --uses N [--hours N] [--older-hours N]',
  help: `
Prints a token that a number of devices may enroll with. To roll it over, make the next one, and let older ones end. It ends with
your API token at the latest, unless somebody takes it over (enroll token hand-over).

--uses         how many devices may enroll with it
--hours        how long it is valid (default: 720)
--older-hours  how long older tokens of the group stay valid, 0 to end them now (default: until they expire)
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...operatorOption,
    uses: { type: 'string' },
    hours: { type: 'string' },
    'older-hours': { type: 'string' },
  },
  async run(args) {
    const [name = ''] = args.positionals;
    args.required('uses');
    const body = {
      maxUses: countIn(args, 'uses'),
      lifeSeconds: secondsIn(args, 'hours', 'hours'),
      olderSeconds: secondsIn(args, 'older-hours', 'hours', { mayBeZero: true }),
    };
    const value = await (await openOperator(args)).send('POST', `${pathOf(name)}/tokens`, body, api.groupTokenResponse);
    const text = `${value.token}\nusable until ${timeText(value.expiresAt)} UTC, ${counted(value.maxUses, 'time')}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const disable: Command = {
  usage: 'enrollment-group disable NAME --reason TEXT',
  help: `Devices that have enrolled by it are unchanged.\n\n--reason    why; devices that are refused get it, and it is recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const body = { reason: args.required('reason') };
    const path = `${pathOf(name)}/disable`;
    const value = await (await openOperator(args)).send('POST', path, body, api.groupSwitchResponse);
    return { exitCode: exitCodes.ok, value, text: `enrollment group ${value.name} is disabled` };
  },
};

export const enable: Command = {
  usage: 'enrollment-group enable NAME',
  help: operatorHelp,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).send('POST', `${pathOf(name)}/enable`, {}, api.groupSwitchResponse);
    return { exitCode: exitCodes.ok, value, text: `enrollment group ${value.name} is enabled` };
  },
};

export const limit: Command = {
  usage: 'enrollment-group limit NAME --devices N|any',
  help: `Counts all devices that ever enrolled by it; they stay, even if the new limit is lower.\n\n--devices   how many devices may enroll by it, or any\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, devices: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const maxDevices = args.required('devices') === 'any' ? null : countIn(args, 'devices');
    const path = `${pathOf(name)}/limit`;
    const value = await (await openOperator(args)).send('PUT', path, { maxDevices }, api.enrollmentGroupView);
    return { exitCode: exitCodes.ok, value, text: `enrollment group ${value.name}: ${placesOf(value)} devices` };
  },
};

export const drop: Command = {
  usage: 'enrollment-group delete NAME',
  help: `Its tokens and its list end with it.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).send('DELETE', pathOf(name), undefined, api.enrollmentGroupDeleted);
    return { exitCode: exitCodes.ok, value, text: `enrollment group ${value.name} deleted` };
  },
};

const placesOf = ({ devices, maxDevices }: { devices: number; maxDevices: number | null }) =>
  maxDevices === null ? String(devices) : `${devices} of ${maxDevices}`;

const stateOf = ({ disabledReason }: { disabledReason: string | null }) =>
  disabledReason === null ? 'enabled' : `disabled: ${disabledReason}`;
