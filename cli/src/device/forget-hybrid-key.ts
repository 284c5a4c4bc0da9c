// `edgekeep device forget-hybrid-key`: for a machine that has to run an agent which reads no hybrid wraps.
import { counted } from '@edgekeep/core/counted';
import { hybridKeyForgotten } from '@edgekeep/wire/api/hybrid-key';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const command: Command = {
  usage: 'device forget-hybrid-key ID --reason TEXT',
  help: `The hub forgets the hybrid key of a device that has to run an older agent, and wraps its model keys for its root of
trust alone. An agent of this version names its key again on its next connection, and gets hybrid wraps again.

--reason    why; recorded in the audit log
${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [id = ''] = args.positionals;
    const body = { reason: args.required('reason') };
    const path = `/v1/devices/${encodeURIComponent(id)}/forget-hybrid-key`;
    const value = await (await openOperator(args)).send('POST', path, body, hybridKeyForgotten);
    const { deviceId, sha256, connectionsClosed, requiredBy } = value;
    const text = [
      `${deviceId} has no hybrid key any more (${sha256}); ${counted(connectionsClosed, 'live connection')} closed`,
      ...requiredBy.map(
        (group) =>
          `  group ${group} requires post-quantum protection: ${deviceId} gets no key until its agent names a hybrid key`,
      ),
    ].join('\n');
    return { exitCode: exitCodes.ok, value, text };
  },
};
