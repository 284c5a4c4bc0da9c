// The hub's own signing keys: `edgekeep authority keys`, `request-keys`, `install-keys`, `activate-key`, `abandon-key` (docs/authorities.md).
import { futureProblems, isStale } from '@edgekeep/core/authority/key-list-follow';
import { KEY_LIST_BYTES_MAX, openKeyList } from '@edgekeep/core/authority/key-list';
import { parseUtf8, utf8 } from '@edgekeep/core/bytes';
import { counted } from '@edgekeep/core/counted';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { hubKeysView, type HubKeysView } from '@edgekeep/wire/api/authority';
import { readBounded } from '../bounded-file.ts';
import { type Arguments, exitCodes, type Command, type Outcome, UsageError } from '../command.ts';
import { notedOrder } from './noted-order.ts';
import { hubAddress, openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

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

export const abandonKey = notedOrder(
  'authority abandon-key',
  'For a key that was never activated. If a list names it, the next list ends it.',
  async (operator, id, body) => outcome(await operator.send('POST', pathOf(id, 'abandon'), body, hubKeysView), []),
);

/** What the hub says, with what the operator's own root says about it. */
async function verifiedOutcome(args: Arguments, view: HubKeysView): Promise<Outcome> {
  if (view.list === null) return outcome(view, ['the root has signed no key list']);
  const roots = parsePem((await hubAddress(args)).root, 'CERTIFICATE').map(parseCertificate);
  const verdict = openKeyList(utf8(view.list.file), roots);
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const reasons = verdict.kind === 'refused' ? verdict.reasons : futureProblems(verdict.list, nowSeconds);
  if (verdict.kind === 'refused' || reasons.length > 0)
    return outcome(
      view,
      reasons.map((reason) => `REFUSED: ${reason}`),
    );
  const date = timeText(verdict.list.validUntilSeconds * 1_000).slice(0, 10);
  if (!isStale(verdict.list, nowSeconds)) return outcome(view, []);
  return outcome(view, [`TOO OLD since ${date}: a later list may end a key that is shown here as good`]);
}

function outcome(view: HubKeysView, problems: readonly string[]): Outcome {
  const list =
    view.list === null
      ? 'no key list'
      : `key list ${view.list.number}, signed by root ${view.list.root.slice(0, 16)}…, until ${timeText(view.list.validUntil).slice(0, 10)}, not known by ${counted(view.list.devicesPending, 'device')}`;
  const text = [keyTable(view), list, ...problems].join('\n');
  return { exitCode: problems.length === 0 ? exitCodes.ok : exitCodes.refused, value: view, text };
}

/** Each key with its id. */
export function keyTable(view: HubKeysView): string {
  const seconds = (at: number | null) => (at === null ? '' : timeText(at * 1_000).slice(0, 16));
  const rows = view.keys.map(({ id, purpose, status, until, compromised, origin }) => [
    purpose,
    status,
    `${seconds(until)}${compromised ? ' stolen' : ''}`,
    id,
    origin ?? '',
  ]);
  return table([['SIGNS', 'STATUS', 'ENDS (UTC)', 'ID', 'ORIGIN'], ...rows]);
}

function pathOf(id = '', verb: string): string {
  if (!/^[0-9a-f]{64}$/.test(id)) throw new UsageError('ID is shown by edgekeep authority keys, 64 hex digits');
  return `/v1/authorities/keys/${id}/${verb}`;
}
