// `edgekeep webhook roll-secret|test`. The secret goes into a file of its own and is never printed.
import { writeNewFile } from '@edgekeep/host/durable-file';
import { rolledSecret, webhookList, webhookTest } from '@edgekeep/wire/api/webhook';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { assertNewFile } from '../new-file.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { timeText } from '../table.ts';

export const roll: Command = {
  usage: 'webhook roll-secret NAME [--out FILE] [--overlap-hours N]',
  help: `
Writes the new secret of HMAC into FILE (mode 0600), which must not exist. For ed25519 no secret leaves the hub: the public key for the receiver
is printed, and goes into FILE where one is named. Until the overlap ends, messages are signed by the older secret as well.

--out             where the secret is written; needed for hmac-sha256
--overlap-hours   how long the older secret signs too (default: 24; 0: not at all)
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, out: { type: 'string' }, 'overlap-hours': { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const out = args.option('out');
    const overlapSeconds = secondsIn(args, 'overlap-hours', 'hours', { mayBeZero: true }) ?? 86_400;
    // The secret is shown once: nothing is ordered before it has a place.
    if (out !== undefined) await assertNewFile(out);
    const operator = await openOperator(args);
    if (out === undefined && (await isSecret(operator, name)))
      throw new UsageError(`${name} signs by HMAC: --out names the file for its secret`);
    const path = `/v1/webhooks/${encodeURIComponent(name)}/secret`;
    const { secret, ...value } = await operator.send('POST', path, { overlapSeconds }, rolledSecret);
    const text = secret ?? value.publicKey ?? '';
    if (out !== undefined) await writeNewFile(out, `${text}\n`);
    const until = `an older one, where there was one, counts until ${timeText(value.olderValidUntil)} UTC`;
    const what = secret === null ? `public key ${text}` : `new secret in ${out ?? ''}`;
    return { exitCode: exitCodes.ok, value, text: `${value.name}: ${what}; ${until}` };
  },
};

async function isSecret(operator: Awaited<ReturnType<typeof openOperator>>, name: string): Promise<boolean> {
  const { webhooks } = await operator.get('/v1/webhooks', webhookList);
  return webhooks.find((each) => each.name === name)?.signing !== 'ed25519';
}

export const test: Command = {
  usage: 'webhook test NAME',
  help: `Sends one message of the type edgekeep.webhook.test now. Exit code 1 where the receiver does not take it.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/webhooks/${encodeURIComponent(name)}/test`;
    const value = await (await openOperator(args)).send('POST', path, {}, webhookTest);
    const text = value.delivered ? `${name} took it (${value.status})` : `${name}: ${value.problem}`;
    return { exitCode: value.delivered ? exitCodes.ok : exitCodes.refused, value, text };
  },
};
