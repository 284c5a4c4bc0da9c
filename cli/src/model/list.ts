// `edgekeep model list`: the releases a hub has.
import { modelList } from '@edgekeep/wire/operator-api';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const command: Command = {
  summary: 'list the models of a hub',
  usage: 'model list',
  help: operatorHelp,
  positionals: { least: 0, most: 0 },
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
    const text = table([['NAME', 'VERSION', 'STATE', 'PUBLISHED', 'MANIFEST', 'FILES'], ...rows]);
    return { exitCode: exitCodes.ok, value: value.models, text };
  },
};
