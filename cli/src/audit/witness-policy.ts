// `edgekeep witness-policy show|set`: whose cosignatures make a receipt, and how many.
import { tiers } from '@edgekeep/core/attest/tier';
import { counted } from '@edgekeep/core/counted';
import { witnessPolicyRequest, witnessPolicyView } from '@edgekeep/wire/api/audit';
import type { z } from 'zod';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { readText } from '../person-file.ts';

export const show: Command = {
  usage: 'witness-policy show',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/witness-policy', witnessPolicyView);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

export const set: Command = {
  usage: 'witness-policy set [--quorum N] [--tiers LIST] [--when-unmet HOW] [--policy FILE]',
  help: `What is not named stays as it is.

  --quorum N       how many independent devices must have cosigned, besides the receiver of the key
  --tiers LIST     tiers of devices that count: ${tiers.join(', ')}, separated by commas
  --when-unmet HOW  name-weaker: a fleet that cannot meet it gets receipts that are named weaker; refuse: it gets no keys
  --policy FILE    a policy of groups in the format of C2SP tlog-policy, in which \`fleet\` is the group of the devices; "none" removes it
${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    quorum: { type: 'string' },
    tiers: { type: 'string' },
    'when-unmet': { type: 'string' },
    policy: { type: 'string' },
  },
  async run(args) {
    const operator = await openOperator(args);
    const now = await operator.get('/v1/witness-policy', witnessPolicyView);
    const value = await operator.send('PUT', '/v1/witness-policy', await orderOf(args, now), witnessPolicyView);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

async function orderOf(args: Arguments, now: z.infer<typeof witnessPolicyView>): Promise<object> {
  const file = args.option('policy');
  const list = args.option('tiers');
  const order = witnessPolicyRequest.safeParse({
    quorum: Number(args.option('quorum') ?? now.quorum),
    tiers: list === undefined ? now.tiers : list.split(',').filter((each) => each !== ''),
    whenUnmet: args.option('when-unmet') ?? now.whenUnmet,
    text: file === undefined ? now.text : file === 'none' ? null : await readText(file),
  });
  if (!order.success) {
    const [issue] = order.error.issues;
    throw new UsageError(`witness-policy set: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`);
  }
  return order.data;
}

function textOf({ version, quorum, tiers: counting, whenUnmet, text, available }: z.infer<typeof witnessPolicyView>) {
  const how = whenUnmet === 'refuse' ? 'no keys are released' : 'receipts are named weaker';
  return [
    `witness policy ${version}${version === 0 ? ' (the settings)' : ''}`,
    `  quorum     ${counted(quorum, 'independent device')} besides the receiver, of the tiers ${counting.join(', ') || 'none'}`,
    `  unmet      ${how}`,
    `  fleet      ${available < quorum ? `only ${available} of them now` : 'has enough'}`,
    ...(text === null ? [] : ['  policy', ...text.split('\n').map((line) => `    ${line}`.trimEnd())]),
  ].join('\n');
}
