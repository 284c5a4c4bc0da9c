// `edgekeep ima-policy make|import`: an IMA policy from the logs of machines known to be good, or from a runtime policy of Keylime.
import { readFile, writeFile } from 'node:fs/promises';
import { counted } from '@edgekeep/core/counted';
import { IMA_LOG_BYTES_MAX, parseImaLog } from '@edgekeep/core/attest/ima-log';
import { encodeImaPolicy, IMA_POLICY_BYTES_MAX } from '@edgekeep/core/attest/ima-policy';
import {
  imaPolicyFromKeylime,
  imaPolicyFromLogs,
  type MadeImaPolicy,
  type PolicyHead,
} from '@edgekeep/core/attest/ima-policy-sources';
import { readBounded } from '../attest/input.ts';
import { type Arguments, type Command, exitCodes } from '../command.ts';

const headOptions = {
  name: { type: 'string' },
  version: { type: 'string' },
  out: { type: 'string' },
  for: { type: 'string', multiple: true },
  exclude: { type: 'string', multiple: true },
  key: { type: 'string', multiple: true },
} as const;

const headHelp = `--name NAME        lower-case letters, digits, dots, dashes; at most 64
--version VERSION  for example 1.4.0
--out FILE         where to write it; sign and publish it with \`edgekeep ima-policy publish\`
--for NAME         only for boots that match reference values of this name; may be repeated (default: every boot)
--exclude PATTERN  paths that are not compared, a regular expression for the whole path (spec/ima-policy.md); may be repeated
--key FILE         PEM public key, or certificate, that signs files (ima-sig); may be repeated`;

export const make: Command = {
  usage:
    'ima-policy make LOG… --name NAME --version VERSION --out FILE [--for NAME]… [--exclude PATTERN]… [--key FILE]…',
  help: `
Writes an IMA policy (spec/ima-policy.md) that accepts every file in LOG, the binary IMA log of a machine known to be good
(/sys/kernel/security/ima/binary_runtime_measurements); with several logs, the files of all of them.

${headHelp}
`,
  positionals: { min: 1, max: 64 },
  options: headOptions,
  async run(args) {
    const logs = [];
    for (const path of args.positionals) logs.push(parseImaLog(await readBounded(path, IMA_LOG_BYTES_MAX)));
    return written(imaPolicyFromLogs(logs, await headOf(args)), args.required('out'));
  },
};

export const importKeylime: Command = {
  usage:
    'ima-policy import FILE --name NAME --version VERSION --out FILE [--for NAME]… [--exclude PATTERN]… [--key FILE]…',
  help: `
Writes an IMA policy (spec/ima-policy.md) from a runtime policy of Keylime (JSON): its digests, excludes, keyrings, buffers and verification
keys. SHA-1 digests are left out. What cannot be expressed is refused, or named in the output.

${headHelp}
`,
  positionals: { min: 1, max: 1 },
  options: headOptions,
  async run(args) {
    const [file = ''] = args.positionals;
    const text = Buffer.from(await readBounded(file, 2 * IMA_POLICY_BYTES_MAX)).toString('utf8');
    return written(imaPolicyFromKeylime(text, await headOf(args)), args.required('out'));
  },
};

async function headOf(args: Arguments): Promise<PolicyHead> {
  const keys = [];
  for (const file of args.all('key')) keys.push(await readFile(file, 'utf8'));
  return {
    name: args.required('name'),
    version: args.required('version'),
    for: args.all('for'),
    excludes: args.all('exclude'),
    keys,
  };
}

async function written({ policy, notes }: MadeImaPolicy, out: string) {
  const bytes = encodeImaPolicy(policy);
  await writeFile(out, bytes);
  const files = Object.keys(policy.files).length;
  const keys = policy.keys?.length ?? 0;
  const lines = [
    `${policy.name} ${policy.version}: ${counted(files, 'file')} and ${counted(keys, 'key')}, written to ${out}`,
    ...notes.map((note) => `note: ${note}`),
  ];
  const value = { name: policy.name, version: policy.version, files, keys, notes };
  return { exitCode: exitCodes.ok, value, text: lines.join('\n') };
}
