// `edgekeep model list|withdraw`: the releases a hub has.
import { modelList, withdrawResponse } from '@edgekeep/wire/api/model-release';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

export const list: Command = {
  usage: 'model list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/models', modelList);
    const rows = value.models.map((m) => [
      m.name,
      m.version,
      m.state,
      m.publishedAt === null ? '-' : timeText(m.publishedAt),
      m.manifestDigest.slice(0, 16),
      String(m.files.length),
    ]);
    const text = listText(
      [['NAME', 'VERSION', 'STATE', 'PUBLISHED', 'MANIFEST', 'FILES'], ...rows],
      '`edgekeep model show NAME` has one model',
    );
    return { exitCode: exitCodes.ok, value: value.models, text };
  },
};

export const withdraw: Command = {
  usage: 'model withdraw NAME VERSION',
  help: `No device is offered this version or gets its key again, and its leases end. This cannot be undone, and devices refuse every lower version than one that they served: publish a higher version.\n\n${operatorHelp}`,
  positionals: { min: 2, max: 2 },
  options: operatorOption,
  async run(args) {
    const [name = '', version = ''] = args.positionals;
    const path = `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}/withdraw`;
    const value = await (await openOperator(args)).send('POST', path, {}, withdrawResponse);
    const text = [`withdrawn: ${value.name} ${value.version}`, ...(value.advice === null ? [] : [value.advice])];
    return { exitCode: exitCodes.ok, value, text: text.join('\n') };
  },
};
