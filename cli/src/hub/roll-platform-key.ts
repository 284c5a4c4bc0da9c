// `edgekeep hub roll-platform-key`: a new platform key, under which the hub wraps its secrets again in the background.
import { counted } from '@edgekeep/core/counted';
import { setTimeout } from 'node:timers/promises';
import { platformKeyRollResponse, platformKeyView } from '@edgekeep/wire/api/platform-key';
import { type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

const askMilliseconds = 500;

export const command: Command = {
  usage: 'hub roll-platform-key [--wait]',
  help: `
The platform key protects the other keys in the hub's store. The hub makes a new one and wraps model keys and device secrets under it, in the background and while it serves. The old key is deleted when nothing
needs it any more. A hub that is stopped in between continues when it starts again.

--wait      return when the old key is deleted
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, wait: { type: 'boolean' } },
  async run(args) {
    const operator = await openOperator(args);
    const { version } = await operator.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse);
    let view = await operator.get('/v1/platform-key', platformKeyView);
    while (args.flag('wait') && !view.finished) {
      await setTimeout(askMilliseconds);
      view = await operator.get('/v1/platform-key', platformKeyView);
    }
    const state = view.finished
      ? 'the old key is deleted'
      : `${counted(view.valuesLeft, 'value')} left to be wrapped again`;
    return { exitCode: exitCodes.ok, value: view, text: `platform key ${version} is in use; ${state}` };
  },
};
