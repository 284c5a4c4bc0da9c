// `edgekeep audit show|prove` and `edgekeep trust`: the log's entries, the proof of one, and the public keys to check them with.
import { counted } from '@edgekeep/core/counted';
import { writeFile } from 'node:fs/promises';
import { receiptResponse, releaseList } from '@edgekeep/wire/api/access';
import { auditList, auditProof } from '@edgekeep/wire/api/audit';
import { parseBase64url } from '@edgekeep/core/bytes';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const show: Command = {
  usage: 'audit show [--from INDEX] [--limit N]',
  help: `--from      first entry (default: shows the newest)\n--limit     how many (default: 50)\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, from: { type: 'string' }, limit: { type: 'string' } },
  async run(args) {
    const query = new URLSearchParams({ limit: args.option('limit') ?? '50' });
    const from = args.option('from');
    if (from !== undefined) query.set('from', from);
    const value = await (await openOperator(args)).get(`/v1/audit?${query.toString()}`, auditList);
    const rows = value.entries.map((e) => [String(e.index), timeText(e.at), e.kind, e.subject, `by ${e.actor}`]);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${table(rows)}\n${counted(value.size, 'entry', 'entries')} in the log`,
    };
  },
};

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

export const receiptGet: Command = {
  usage: 'receipt get [LEASE] --out FILE [--long]',
  help: `LEASE is a lease id (\`edgekeep device show\`); without it the newest release is taken.\n\n--out       the receipt file to write\n--long      the long form: with the evidence, which verifies up to the maker of the device\n${operatorHelp}`,
  positionals: { min: 0, max: 1 },
  options: { ...operatorOption, out: { type: 'string' }, long: { type: 'boolean' } },
  async run(args) {
    const operator = await openOperator(args);
    const out = args.required('out');
    const lease = args.positionals[0] ?? (await operator.get('/v1/leases?limit=1', releaseList)).leases[0]?.id;
    if (lease === undefined) return { exitCode: exitCodes.refused, value: null, text: 'no key was released yet' };
    const path = `/v1/receipts/${encodeURIComponent(lease)}`;
    const bytes = args.flag('long')
      ? await operator.getBytes(`${path}/long`)
      : parseBase64url((await operator.get(path, receiptResponse)).receipt, 'receipt');
    await writeFile(out, bytes);
    return {
      exitCode: exitCodes.ok,
      value: { lease, file: out },
      text: `wrote ${out} (${bytes.length} bytes), the ${args.flag('long') ? 'long form of the ' : ''}receipt of lease ${lease}`,
    };
  },
};
