// Rotation of the issuing CA: `edgekeep authority request`, `install`, `activate`, `abandon`, `revoke` (docs/authorities.md).
import { counted } from '@edgekeep/core/counted';
import { parseDateTime } from '@edgekeep/core/canonical/date-time';
import { type IssuedClass, issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import { readFile } from 'node:fs/promises';
import { authorityOverview, issuingRequestResponse, issuingRevokeResponse } from '@edgekeep/wire/api/authority';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { notedOrder } from './noted-order.ts';
import { type Overview, overviewOutcome } from './overview.ts';

export const request: Command = {
  usage: 'authority request [--out FILE|FOLDER] [--class CLASS]… [--again ID]…',
  help: `
The hub makes and keeps the keys of its next issuing CAs, one for each class; the requests are written to FILE (PKCS #10, PEM), all to be
signed by one edgekeep root sign-issuing.

--out    the file to write, or a folder for a file that has the ids of the CAs and the day in its name (default: the current folder). An existing
         file is refused before a key is made
--class  server, device or workload; may be repeated (default: all three)
--again  makes no new key: writes the request of a waiting issuing CA again, if the file was lost; may be repeated

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    out: { type: 'string' },
    class: { type: 'string', multiple: true },
    again: { type: 'string', multiple: true },
  },
  async run(args) {
    const place = (name: string) => placeIn(args.option('out'), '.', () => name);
    // Here for a name that is known only later: at least the folder takes files.
    await assertNewFile(place(`issuing-${process.pid}.new`));
    const again = args.all('again');
    const classes = args.all('class').map(classNamed);
    const operator = await openOperator(args);
    const requests = again.length === 0 ? await newRequests(operator, classes) : await waitingRequests(operator, again);
    const ids = requests.map(({ id, class: each }) => `${each}-${id.slice(0, 8)}`).join('-');
    const out = place(`issuing-${ids}-${dayText(Date.now())}.csr`);
    await writeNewFile(out, requests.map((each) => each.request).join(''), 0o644);
    const lines = requests.map(({ id, class: each }) => `issuing CA ${id} (${each})`);
    const text = [...lines, `requests in ${out}: have the root sign them (edgekeep root sign-issuing)`].join('\n');
    const issuing = requests.map(({ id, class: each }) => ({ id, class: each }));
    return { exitCode: exitCodes.ok, value: { issuing, out }, text };
  },
};

function classNamed(text: string): IssuedClass {
  const found = issuedClasses.find((each) => each === text);
  if (found === undefined) throw new UsageError(`--class takes ${issuedClasses.join(', ')}`);
  return found;
}

interface Waiting {
  readonly id: string;
  readonly class: string;
  readonly request: string;
}

async function newRequests(operator: Operator, classes: readonly IssuedClass[]): Promise<readonly Waiting[]> {
  const body = classes.length === 0 ? {} : { classes };
  const {
    id,
    request: pem,
    requests,
  } = await operator.send('POST', '/v1/authorities/request', body, issuingRequestResponse);
  // A hub of the version before makes one for all classes.
  return requests ?? [{ id, class: 'general', request: pem }];
}

export const install: Command = {
  usage: 'authority install FILE [--activate now|TIME] [--force]',
  help: `
FILE is what edgekeep root sign-issuing wrote: all CAs in it are taken, or none. Without --activate they wait for edgekeep authority activate.

--activate  let them issue now, or from a time like 2027-03-01T06:00Z
--force     activate although devices do not know its root

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, activate: { type: 'string' }, force: { type: 'boolean' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const when = args.option('activate');
    const activate = when === undefined || when === 'now' ? when : timeOf(when, '--activate');
    const body = { certificates: await readFile(file, 'utf8'), activate, force: args.flag('force') };
    return overviewOutcome(
      await (await openOperator(args)).send('POST', '/v1/authorities/install', body, authorityOverview),
    );
  },
};

export const activate: Command = {
  usage: 'authority activate ID… [--at TIME] [--force]',
  help: `
The one of its class that is in use retires: its certificates stay valid until they end, then its key is destroyed. The server certificate follows at once, open
connections stay.

--at     later, at a time like 2027-03-01T06:00Z
--force  continue although devices do not know its root (edgekeep authority pending names them)

${operatorHelp}
`,
  positionals: { min: 1, max: 8 },
  options: { ...operatorOption, at: { type: 'string' }, force: { type: 'boolean' } },
  async run(args) {
    const at = args.option('at');
    const body = { ...(at === undefined ? {} : { at: timeOf(at, '--at') }), force: args.flag('force') };
    const paths = args.positionals.map((id) => pathOf(id, 'activate'));
    const operator = await openOperator(args);
    let overview: Overview = await operator.get('/v1/authorities', authorityOverview);
    for (const path of paths) overview = await operator.send('POST', path, body, authorityOverview);
    return overviewOutcome(overview);
  },
};

export const abandon = notedOrder(
  'authority abandon',
  'For a request that was never signed, or a certificate that was never activated. Its key is destroyed.',
  async (operator, id, body) =>
    overviewOutcome(await operator.send('POST', pathOf(id, 'abandon'), body, authorityOverview)),
);

export const revoke = notedOrder(
  'authority revoke',
  `One request: all its certificates are revoked, their connections are closed, leases are void, and the next issuing CA takes its
place; without a next one the request is refused. Devices with a root of trust return by attestation. Then put it on the root's list:
edgekeep root sign-crl, edgekeep authority install-crl.`,
  async (operator, id, body) => {
    const value = await operator.send('POST', pathOf(id, 'revoke'), body, issuingRevokeResponse);
    const text = `${counted(value.certificates, 'certificate')} of ${counted(value.devices, 'device')} revoked, ${counted(value.connectionsClosed, 'connection')} closed`;
    const next = value.activated === null ? '' : `\nthe issuing CA in use is ${value.activated}`;
    return { exitCode: exitCodes.ok, value, text: text + next };
  },
);

async function waitingRequests(operator: Operator, ids: readonly string[]): Promise<readonly Waiting[]> {
  const { issuing } = await operator.get('/v1/authorities', authorityOverview);
  return ids.map((id) => {
    const found = issuing.find((each) => each.id === id);
    if (found === undefined || found.request === null)
      throw new UsageError(`no issuing CA ${id} waits to be signed: edgekeep authority list`);
    return { id, class: found.class, request: found.request };
  });
}

function pathOf(id = '', verb: string): string {
  if (!/^[0-9a-f]{40}$/.test(id)) throw new UsageError('ID is shown by edgekeep authority list, 40 hex digits');
  return `/v1/authorities/issuing/${id}/${verb}`;
}

/** Unix milliseconds of a time with its zone. */
export function timeOf(text: string, option: string): number {
  const ms = parseDateTime(text);
  if (ms === undefined) {
    throw new UsageError(`${option} takes a day that exists, or a time with its zone: 2027-03-01T06:00Z`);
  }
  return ms;
}
