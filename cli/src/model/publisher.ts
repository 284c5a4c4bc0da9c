// `edgekeep publisher trust|end|list`: the publishers whose signatures the hub accepts.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { publisherList, publisherResponse } from '@edgekeep/wire/api/publisher';
import type { z } from 'zod';
import { timeOf } from '../authority/issuing.ts';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const trust: Command = {
  usage: 'publisher trust PUB.pem [--name NAME]',
  help: `From now on the hub accepts models and reference values signed with this key.\n\n--name      for people (default: the file’s name)\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, name: { type: 'string' } },
  async run(args) {
    const [file = ''] = args.positionals;
    const body = { name: args.option('name') ?? basename(file, '.pem'), publicKey: await readFile(file, 'utf8') };
    const value = await (await openOperator(args)).send('POST', '/v1/publishers', body, publisherResponse);
    return { exitCode: exitCodes.ok, value, text: `trusted ${value.name}: ${value.fingerprint}` };
  },
};

export const end: Command = {
  usage: 'publisher end KEY [--at TIME] --note TEXT',
  help: `
KEY is the fingerprint of the publisher's key, or its beginning (edgekeep publisher list). From its end on the hub accepts no model, no reference
values and no IMA policy that it signed. What it published before goes on to count: withdraw what should not. An end is not taken back.

--at    a time like 2027-03-01T06:00Z (default: now)
--note  why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, at: { type: 'string' }, note: { type: 'string' } },
  async run(args) {
    const [text = ''] = args.positionals;
    const at = args.option('at');
    const body = { note: args.required('note'), ...(at === undefined ? {} : { endsAt: timeOf(at, '--at') }) };
    const operator = await openOperator(args);
    const { publishers } = await operator.get('/v1/publishers', publisherList);
    const fingerprint = theOneThatBegins(text, publishers);
    const value = await operator.send('POST', `/v1/publishers/${fingerprint}/end`, body, publisherResponse);
    const when = value.endsAt === null ? '' : ` on ${timeText(value.endsAt)}`;
    return { exitCode: exitCodes.ok, value, text: `${value.name} ends${when}: ${value.fingerprint}` };
  },
};

function theOneThatBegins(text: string, publishers: z.infer<typeof publisherList>['publishers']): string {
  const beginning = text.replaceAll(/[\s:]/g, '').toLowerCase();
  const [only, ...more] = publishers.filter(({ fingerprint }) => fingerprint.startsWith(beginning));
  if (beginning.length >= 8 && only !== undefined && more.length === 0) return only.fingerprint;
  throw new UsageError(`KEY is 8 hex digits or more of one of these:\n${listText(publishers)}`);
}

export const list: Command = {
  usage: 'publisher list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { publishers } = await (await openOperator(args)).get('/v1/publishers', publisherList);
    return { exitCode: exitCodes.ok, value: publishers, text: listText(publishers) };
  },
};

function listText(publishers: z.infer<typeof publisherList>['publishers']): string {
  const rows = publishers.map(({ name, fingerprint, endsAt }) => [
    name,
    fingerprint,
    endsAt === null ? '' : timeText(endsAt),
  ]);
  return table([['NAME', 'KEY (SHA-256 OF ITS PEM)', 'ENDS (UTC)'], ...rows]);
}
