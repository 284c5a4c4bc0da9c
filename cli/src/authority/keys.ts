// The hub's own signing keys: `edgekeep authority keys`, `request-keys`, `install-keys`, `activate-key`, `abandon-key` (docs/authorities.md).
import { isStale } from '@edgekeep/core/authority/key-list-follow';
import { KEY_LIST_BYTES_MAX, openKeyList } from '@edgekeep/core/authority/key-list';
import { parseUtf8, utf8 } from '@edgekeep/core/bytes';
import { counted } from '@edgekeep/core/counted';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { hubKeysView, type HubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { readBounded } from '../bounded-file.ts';
import { type Arguments, exitCodes, type Command, type Outcome, UsageError } from '../command.ts';
import { hubAddress, openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';
import { timeOf } from './issuing.ts';

const purposes = ['log', 'attestation-result', 'backup'] as const;

export const keys: Command = {
  usage: 'authority keys',
  help: `
The keys by which the hub signs its log and attestation results, and the list by which the root certifies them. The list is verified under the
root in the operator file: exit code 1 when that root did not sign it, or when it is too old.

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    return verifiedOutcome(args, await (await openOperator(args)).get('/v1/authorities/keys', hubKeysView));
  },
};

export const requestKeys: Command = {
  usage: 'authority request-keys --out FILE [--replace PURPOSE]… [--stolen TIME] [--number N]',
  help: `
Writes the request for the next key list, to be signed by edgekeep root sign-keys. Without --replace no key changes: the list gets a new
date, or the signature of a new root.

--out      the file to write; an existing file is never overwritten
--replace  log, attestation-result or backup: the hub makes its next key; may be repeated. A key that waits already is requested again.
           The first key for backups is in use as soon as its list is installed
--stolen   the present keys were known to somebody else from this time on: now, or a time like 2027-03-01T06:00Z. They end at that time
--number   at least this number, when the root says that it has signed a later list

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    out: { type: 'string' },
    replace: { type: 'string', multiple: true },
    stolen: { type: 'string' },
    number: { type: 'string' },
  },
  async run(args) {
    const out = args.required('out');
    const replaced = args.all('replace').map(purposeNamed);
    const stolen = args.option('stolen');
    if (stolen !== undefined && replaced.length === 0) throw new UsageError('--stolen needs --replace');
    const stolenAt = stolen === 'now' ? Date.now() : stolen === undefined ? undefined : timeOf(stolen, '--stolen');
    const number = args.option('number');
    if (number !== undefined && !/^[1-9][0-9]{0,5}$/.test(number))
      throw new UsageError('--number takes a whole number');
    const body = {
      purposes: replaced,
      ...(stolenAt === undefined ? {} : { stolenAt }),
      ...(number === undefined ? {} : { number: Number(number) }),
    };
    const operator = await openOperator(args);
    const { request } = await operator.send('POST', '/v1/authorities/keys/request', body, keyRequestResponse);
    await writeNewFile(out, request, 0o644);
    const text = `request in ${out}: have the root sign it (edgekeep root sign-keys)`;
    return { exitCode: exitCodes.ok, value: { out }, text };
  },
};

export const installKeys: Command = {
  usage: 'authority install-keys FILE',
  help: `
FILE is what edgekeep root sign-keys wrote. Devices learn it from now on. A stolen key is replaced at once; any other one waits for
edgekeep authority activate-key.

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [file = ''] = args.positionals;
    const keyList = parseUtf8(await readBounded(file, KEY_LIST_BYTES_MAX), file);
    const operator = await openOperator(args);
    return verifiedOutcome(args, await operator.send('POST', '/v1/authorities/keys/list', { keyList }, hubKeysView));
  },
};

export const activateKey: Command = {
  usage: 'authority activate-key ID… [--force]',
  help: `
The hub signs with this key from now on. Refused while devices have not shown that they know a list with it.

--force  continue although some do not: they take no results and no keys until they have asked for the list

${operatorHelp}
`,
  positionals: { min: 1, max: 2 },
  options: { ...operatorOption, force: { type: 'boolean' } },
  async run(args) {
    const operator = await openOperator(args);
    const body = { force: args.flag('force') };
    let view = await operator.get('/v1/authorities/keys', hubKeysView);
    for (const id of args.positionals) view = await operator.send('POST', pathOf(id, 'activate'), body, hubKeysView);
    return outcome(view, []);
  },
};

export const abandonKey: Command = {
  usage: 'authority abandon-key ID --note TEXT',
  help: `
For a key that was never activated. If a list names it, the next list ends it.

--note  why; recorded in the audit log

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, note: { type: 'string' } },
  async run(args) {
    const body = { note: args.required('note') };
    const [id] = args.positionals;
    return outcome(await (await openOperator(args)).send('POST', pathOf(id, 'abandon'), body, hubKeysView), []);
  },
};

/** What the hub says, with what the operator's own root says about it. */
async function verifiedOutcome(args: Arguments, view: HubKeysView): Promise<Outcome> {
  if (view.list === null) return outcome(view, ['the root has signed no key list']);
  const roots = parsePem((await hubAddress(args)).root, 'CERTIFICATE').map(parseCertificate);
  const verdict = openKeyList(utf8(view.list.file), roots);
  if (verdict.kind === 'refused')
    return outcome(
      view,
      verdict.reasons.map((reason) => `REFUSED: ${reason}`),
    );
  const date = timeText(verdict.list.validUntilSeconds * 1_000).slice(0, 10);
  if (!isStale(verdict.list, Math.floor(Date.now() / 1_000))) return outcome(view, []);
  return outcome(view, [`TOO OLD since ${date}: a later list may end a key that is shown here as good`]);
}

function outcome(view: HubKeysView, problems: readonly string[]): Outcome {
  const seconds = (at: number | null) => (at === null ? '' : timeText(at * 1_000).slice(0, 16));
  const rows = view.keys.map(({ id, purpose, status, until, compromised, origin }) => [
    purpose,
    status,
    `${seconds(until)}${compromised ? ' stolen' : ''}`,
    id,
    origin ?? '',
  ]);
  const list =
    view.list === null
      ? 'no key list'
      : `key list ${view.list.number}, signed by root ${view.list.root.slice(0, 16)}…, until ${timeText(view.list.validUntil).slice(0, 10)}, not known by ${counted(view.list.devicesPending, 'device')}`;
  const text = [table([['SIGNS', 'STATUS', 'ENDS (UTC)', 'ID', 'ORIGIN'], ...rows]), list, ...problems].join('\n');
  return { exitCode: problems.length === 0 ? exitCodes.ok : exitCodes.refused, value: view, text };
}

function purposeNamed(text: string): (typeof purposes)[number] {
  const found = purposes.find((each) => each === text);
  if (found === undefined) throw new UsageError(`--replace takes ${purposes.join(', ')}`);
  return found;
}

function pathOf(id = '', verb: string): string {
  if (!/^[0-9a-f]{64}$/.test(id)) throw new UsageError('ID is shown by edgekeep authority keys, 64 hex digits');
  return `/v1/authorities/keys/${id}/${verb}`;
}
