// `edgekeep authority request-keys`: the request for the next key list, with the keys that are replaced or were stolen (docs/authorities.md).
import { basename } from 'node:path';
import { keptKeyListName } from '@edgekeep/core/authority/key-list';
import { parseKeyListRequest } from '@edgekeep/core/authority/key-list-request';
import { utf8 } from '@edgekeep/core/bytes';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { countIn } from '../number-option.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { timeOf } from './issuing.ts';
import { keyTable } from './keys.ts';

const purposes = ['log', 'attestation-result', 'backup'] as const;

export const requestKeys: Command = {
  usage: 'authority request-keys [--out FILE|FOLDER] [--replace PURPOSE]… [--stolen TIME [--key ID]…] [--number N]',
  help: `
Writes the request for the next key list, to be signed by edgekeep root sign-keys. Without --replace and --stolen no key changes: the list gets
a new date, or the signature of a new root.

--out      the file to write, or a folder for a file that has the hub, the list's number, the purposes and the day in its name (default: the
           current folder). An existing file is refused before a key is made
--replace  log, attestation-result or backup: the hub makes its next key; may be repeated. A key that waits already is requested again.
           The first key for backups is in use as soon as its list is installed
--stolen   from this time on somebody else had the present keys of --replace, and those of --key: now, or a time like
           2027-03-01T06:00Z. They end at that time
--key      the id of a stolen key, or its beginning: in use, former, prepared or given up; may be repeated. One in use is replaced. Without
           --key and --replace the keys are listed
--number   at least this number, when the root says that it has signed a later list

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    out: { type: 'string' },
    replace: { type: 'string', multiple: true },
    stolen: { type: 'string' },
    key: { type: 'string', multiple: true },
    number: { type: 'string' },
  },
  async run(args) {
    const place = (name: string) => placeIn(args.option('out'), '.', () => name);
    // Here for a name that is known only later: at least the folder takes files.
    await assertNewFile(place(`keys-${process.pid}.new`));
    const replaced = args.all('replace').map(purposeNamed);
    const stolen = args.option('stolen');
    const named = args.all('key');
    if (stolen === undefined && named.length > 0)
      throw new UsageError('--key names stolen keys: give --stolen TIME, too');
    const number = countIn(args, 'number');
    const stolenAt = stolen === 'now' ? Date.now() : stolen === undefined ? undefined : timeOf(stolen, '--stolen');
    const operator = await openOperator(args);
    const mustName = stolenAt !== undefined && replaced.length === 0;
    const stolenKeys = mustName || named.length > 0 ? await idsOf(operator, named) : [];
    const body = {
      purposes: replaced,
      ...(stolenAt === undefined ? {} : { stolenAt }),
      ...(stolenKeys.length === 0 ? {} : { stolenKeys }),
      ...(number === undefined ? {} : { number }),
    };
    const { request } = await operator.send('POST', '/v1/authorities/keys/request', body, keyRequestResponse);
    const out = place(nameOf(request, replaced, stolenAt !== undefined));
    await writeNewFile(out, request, 0o644);
    const text = `request in ${out}: have the root sign it (edgekeep root sign-keys)`;
    return { exitCode: exitCodes.ok, value: { out }, text };
  },
};

/** The name of the request: of which hub, for which list, what changes, on which day. */
function nameOf(request: string, replaced: readonly string[], stolen: boolean): string {
  const { hub, number } = parseKeyListRequest(utf8(request));
  const what = [...replaced, ...(stolen ? ['stolen'] : [])].join('-') || 'renewed';
  return `${basename(keptKeyListName(hub), '.json').replace('key-list', 'keys')}-number-${number}-${what}-${dayText(Date.now())}.json`;
}

/** The ids that the given texts begin. A text may have the spaces that a ceremony shows. Throws with the hub's keys for none or a wrong one. */
async function idsOf(operator: Operator, named: readonly string[]): Promise<readonly string[]> {
  const view = await operator.get('/v1/authorities/keys', hubKeysView);
  const choice = `the keys of this hub:\n${keyTable(view)}`;
  if (named.length === 0) throw new UsageError(`--stolen needs --replace PURPOSE, or --key ID: ${choice}`);
  return named.map((text) => {
    const beginning = text.replaceAll(/[\s:]/g, '').toLowerCase();
    const found = view.keys.filter(({ id }) => id.startsWith(beginning));
    const [only] = found;
    if (beginning.length >= 8 && only !== undefined && found.length === 1) return only.id;
    const problem = found.length > 1 ? 'more than one key begins with it' : 'no key has this id';
    throw new UsageError(`--key ${text}: ${beginning.length < 8 ? 'give 8 hex digits or more' : problem}; ${choice}`);
  });
}

function purposeNamed(text: string): (typeof purposes)[number] {
  const found = purposes.find((each) => each === text);
  if (found === undefined) throw new UsageError(`--replace takes ${purposes.join(', ')}`);
  return found;
}
