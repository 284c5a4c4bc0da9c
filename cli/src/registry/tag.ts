// `edgekeep device tag`: sets and removes tags.
import { tagResponse } from '@edgekeep/wire/api/registry';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table } from '../table.ts';

export const command: Command = {
  usage: 'device tag ID [KEY=VALUE]… [--remove KEY]…',
  help: `
KEY=VALUE   sets a tag, or replaces its value
--remove    removes a tag; may be repeated
${operatorHelp}
`,
  positionals: { min: 1, max: 65 },
  options: { ...operatorOption, remove: { type: 'string', multiple: true } },
  async run(args) {
    const [id = '', ...pairs] = args.positionals;
    const remove = args.all('remove');
    if (pairs.length + remove.length === 0) throw new UsageError('name a tag: KEY=VALUE or --remove KEY');
    const body = { set: Object.fromEntries(pairs.map(pairOf)), remove };
    const path = `/v1/devices/${encodeURIComponent(id)}/tags`;
    const value = await (await openOperator(args)).send('POST', path, body, tagResponse);
    const text = table([['TAG', 'VALUE'], ...Object.entries(value.tags)]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

/** The key and value of `KEY=VALUE`. */
export function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`a tag is KEY=VALUE, not ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
