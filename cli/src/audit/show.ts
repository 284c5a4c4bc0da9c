// `edgekeep audit show|prove` and `edgekeep trust`: the log's entries, the proof of one, and the public keys to check them with.
import { counted } from '@edgekeep/core/counted';
import { writeFile } from 'node:fs/promises';
import { auditList, auditProof } from '@edgekeep/wire/api/audit';
import { parseBase64url } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const show: Command = {
  usage: 'audit show [--from INDEX] [--limit N]',
  help: `A line for each entry; --json has all that an entry says. A refusal has its reasons at the end of the line.\n\n--from      first entry (default: shows the newest)\n--limit     how many (default: 50)\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, from: { type: 'string' }, limit: { type: 'string' } },
  async run(args) {
    const query = new URLSearchParams({ limit: args.option('limit') ?? '50' });
    const from = args.option('from');
    if (from !== undefined) query.set('from', from);
    const value = await (await openOperator(args)).get(`/v1/audit?${query.toString()}`, auditList);
    const rows = value.entries.map((e) => [
      String(e.index),
      timeText(e.at),
      e.kind,
      e.subject,
      `by ${e.actor}`,
      whyOf(e.data),
    ]);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${table(rows)}\n${counted(value.size, 'entry', 'entries')} in the log`,
    };
  },
};

const why = z.object({
  model: z.string().optional(),
  reason: z.string().optional(),
  reasons: z.array(z.object({ message: z.string() })).optional(),
});

/** The reasons of an entry that has some: of a refused release with its model, or as a person gave them. */
function whyOf(data: unknown): string {
  const { data: found } = why.safeParse(data);
  if (found?.reasons === undefined) return found?.reason ?? '';
  const text = found.reasons.map(({ message }) => message).join('; ');
  return found.model === undefined ? text : `${found.model}: ${text}`;
}

export const prove: Command = {
  usage: 'audit prove INDEX [--out FILE]',
  help: `Prints (or writes) a C2SP tlog-proof: checkpoint and inclusion proof of one entry.\n\n--out       write the proof here, and the entry beside it as FILE.entry\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, out: { type: 'string' } },
  async run(args) {
    const [index = ''] = args.positionals;
    const value = await (await openOperator(args)).get(`/v1/audit/${encodeURIComponent(index)}/proof`, auditProof);
    const out = args.option('out');
    if (out === undefined) return { exitCode: exitCodes.ok, value, text: value.proof };
    await writeFile(out, value.proof);
    await writeFile(`${out}.entry`, parseBase64url(value.entry, 'entry'));
    return { exitCode: exitCodes.ok, value, text: `wrote ${out} and ${out}.entry` };
  },
};

export const trust: Command = {
  usage: 'trust show [--out FILE]',
  help: `Keep a copy: with it you can verify receipts offline, and notice when the hub changes its keys.\n\n--out       write the file here (default: print it)\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, out: { type: 'string' } },
  async run(args) {
    const bytes = await (await openOperator(args)).getBytes('/v1/trust');
    const text = Buffer.from(bytes).toString('utf8');
    const out = args.option('out');
    if (out !== undefined) await writeFile(out, bytes);
    return { exitCode: exitCodes.ok, value: JSON.parse(text), text: out === undefined ? text : `wrote ${out}` };
  },
};
