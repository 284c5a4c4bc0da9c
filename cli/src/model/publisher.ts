// `edgekeep publisher trust|list`: the publishers whose signatures the hub accepts.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { z } from 'zod';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table } from '../table.ts';

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

export const list: Command = {
  usage: 'publisher list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { publishers } = await (
      await openOperator(args)
    ).get('/v1/publishers', z.object({ publishers: z.array(publisherResponse) }));
    const text = table([['NAME', 'KEY (SHA-256 OF ITS PEM)'], ...publishers.map((p) => [p.name, p.fingerprint])]);
    return { exitCode: exitCodes.ok, value: publishers, text };
  },
};
