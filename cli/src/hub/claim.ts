// `edgekeep hub claim`: the first operator file of a hub, on the hub's machine, becomes one person's own.
import { rename, rm } from 'node:fs/promises';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { claimResponse } from '@edgekeep/wire/api/people';
import type { z } from 'zod';
import { type Command, exitCodes } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { operatorFileOf, operatorFromFile, operatorHelp, operatorOption } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';
import { operatorAddress } from '../operator-file.ts';
import { newToken } from '../people/token.ts';
import { timeText } from '../table.ts';
import { readJson } from '../person-file.ts';

/** Claims the hub of the file `from` for `name` and writes their own operator file; returns the hub's answer. */
export async function claimHub(order: {
  readonly from: string;
  readonly out: string;
  readonly name: string;
  readonly lifeSeconds?: number | undefined;
}): Promise<z.infer<typeof claimResponse>> {
  const { from, out, name, lifeSeconds } = order;
  const address = await readJson(from, operatorAddress, `operator file ${from}`);
  const operator = await operatorFromFile(from);
  const { token, sha256 } = newToken();
  // Before the hub knows the token: a token that the hub accepts must not be lost to a full disk.
  const own = from === out ? `${out}.claimed` : out;
  await writeNewFile(own, `${JSON.stringify({ ...address, token }, null, 2)}\n`);
  try {
    const body = { name, sha256, ...(lifeSeconds === undefined ? {} : { lifeSeconds }) };
    const answer = await operator.send('POST', '/v1/claim', body, claimResponse);
    if (own !== out) await rename(own, out);
    return answer;
  } catch (error) {
    // A request that waits for its second person makes this token valid later.
    const waits = error instanceof HubRefusal && error.status === 202;
    if (!waits) await rm(own, { force: true });
    throw error;
  }
}

export const command: Command = {
  usage: 'hub claim --name NAME --out FILE [--days N]',
  help: `
Makes a token that only you have, registers it for you with the role administrator, and ends the one of \`hub init\`, which is valid for a day
(tokens.bootstrapHours). Tokens made with that one are yours from now on.

--name      your name: 1 to 40 of a-z, 0-9, dot, dash and underscore; recorded in the audit log
--out       your operator file; it must not exist
--days      how long your token is valid (default: 90)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, name: { type: 'string' }, out: { type: 'string' }, days: { type: 'string' } },
  async run(args) {
    const name = args.required('name');
    const out = args.required('out');
    const lifeSeconds = secondsIn(args, 'days', 'days') ?? 90 * 86_400;
    const value = await claimHub({ from: operatorFileOf(args), out, name, lifeSeconds });
    const text = `wrote ${out}, valid until ${timeText(value.expiresAt)} UTC\nthe first operator file has ended: delete it`;
    return { exitCode: exitCodes.ok, value: { ...value, out }, text };
  },
};
