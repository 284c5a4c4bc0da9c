// `edgekeep site create|change|list|show|assign|unassign|delete`: the locations of devices.
import { counted } from '@edgekeep/core/counted';
import {
  siteDeleted,
  siteDetail,
  siteDevicesResponse,
  siteList,
  siteView,
  type SiteView,
} from '@edgekeep/wire/api/site';
import { type Arguments, exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, table } from '../table.ts';

const pathOf = (name: string) => `/v1/sites/${encodeURIComponent(name)}`;

const descriptionOptions = {
  'time-zone': { type: 'string' },
  network: { type: 'string', multiple: true },
  country: { type: 'string' },
  position: { type: 'string' },
  radius: { type: 'string' },
  zone: { type: 'string' },
  description: { type: 'string' },
} as const;
const descriptionUsage =
  '[--time-zone NAME] [--network CIDR]… [--country XX] [--position LAT,LON --radius METERS] [--zone LEVEL] [--description TEXT]';
const descriptionHelp = `
--time-zone    a name of the IANA database, for example Europe/Vienna (default: UTC)
--network      a network its devices connect from, in CIDR notation; may be repeated
--country      two capital letters, ISO 3166-1
--position     latitude and longitude in degrees, WGS 84
--radius       meters around the position that belong to the site
--zone         level of the site in the Purdue model: 0, 1, 2, 3, 3.5, 4, 5
--description  for people
${operatorHelp}
`;

export const create: Command = {
  usage: `site create NAME ${descriptionUsage}`,
  help: descriptionHelp,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, ...descriptionOptions },
  async run(args) {
    const [name = ''] = args.positionals;
    const body = { name, ...descriptionOf(args) };
    const value = await (await openOperator(args)).send('POST', '/v1/sites', body, siteView);
    return { exitCode: exitCodes.ok, value, text: `site ${value.name} made` };
  },
};

export const change: Command = {
  usage: `site change NAME ${descriptionUsage}`,
  help: `Replaces all data of the site: values that are left out here are removed. Its devices stay.\n${descriptionHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, ...descriptionOptions },
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).send('PUT', pathOf(name), descriptionOf(args), siteView);
    return { exitCode: exitCodes.ok, value, text: `site ${value.name} changed` };
  },
};

export const list: Command = {
  usage: 'site list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { sites } = await (await openOperator(args)).get('/v1/sites', siteList);
    const rows = sites.map((site) => [
      site.name,
      site.timeZone,
      site.country ?? '-',
      site.zone ?? '-',
      site.networks.join(' ') || '-',
    ]);
    const text = listText([['SITE', 'TIME ZONE', 'COUNTRY', 'ZONE', 'NETWORKS'], ...rows]);
    return { exitCode: exitCodes.ok, value: sites, text };
  },
};

export const show: Command = {
  usage: 'site show NAME',
  help: `\`edgekeep device list --filter site==NAME\` lists its devices.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).get(pathOf(name), siteDetail);
    return { exitCode: exitCodes.ok, value, text: table([...rowsOf(value), ['devices', String(value.devices)]]) };
  },
};

function devicesVerb(verb: 'assign' | 'unassign'): Command {
  return {
    usage: `site ${verb} NAME ID…`,
    help: `At most 1000 devices at once.\n\n${operatorHelp}`,
    positionals: { min: 2, max: 1_001 },
    options: operatorOption,
    async run(args) {
      const [name = '', ...ids] = args.positionals;
      const body = verb === 'assign' ? { add: ids } : { remove: ids };
      const value = await (await openOperator(args)).send('POST', `${pathOf(name)}/devices`, body, siteDevicesResponse);
      return { exitCode: exitCodes.ok, value, text: `${value.added} added, ${value.removed} removed` };
    },
  };
}

export const assign = devicesVerb('assign');
export const unassign = devicesVerb('unassign');

export const drop: Command = {
  usage: 'site delete NAME',
  help: operatorHelp,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).send('DELETE', pathOf(name), undefined, siteDeleted);
    const text = `site ${value.name} deleted; at no site now: ${counted(value.unassigned, 'device')}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

function descriptionOf(args: Arguments): object {
  return {
    description: args.option('description'),
    timeZone: args.option('time-zone'),
    networks: args.all('network'),
    country: args.option('country'),
    position: positionOf(args.option('position'), args.option('radius')),
    zone: args.option('zone'),
  };
}

function positionOf(position: string | undefined, radius: string | undefined): object | undefined {
  if (position === undefined && radius === undefined) return undefined;
  const match = /^(-?\d{1,2}(?:\.\d{1,9})?),(-?\d{1,3}(?:\.\d{1,9})?)$/.exec(position ?? '');
  if (match === null || radius === undefined || !/^\d{1,7}$/.test(radius)) {
    throw new UsageError('--position LAT,LON in degrees, together with --radius METERS');
  }
  return { latitude: Number(match[1]), longitude: Number(match[2]), radius: Number(radius) };
}

function rowsOf(site: SiteView): readonly (readonly string[])[] {
  const { position } = site;
  const place =
    position === null ? 'unknown' : `${position.latitude}, ${position.longitude}, ${position.radius} m around`;
  return [
    ['site', site.name],
    ['description', site.description],
    ['time zone', site.timeZone],
    ['networks', site.networks.join(' ') || 'none'],
    ['country', site.country ?? 'unknown'],
    ['position', place],
    ['zone', site.zone ?? 'unknown'],
  ];
}
