// `edgekeep policy show|apply|history|rollback`: the Cedar text that decides about access.
import { counted } from '@edgekeep/core/counted';
import { policyView, policyApplied, policyVersions, policyVersionView } from '@edgekeep/wire/api/policy';
import { type Arguments, exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';
import { claimLines } from './claims.ts';
import { readPolicyFiles } from './files.ts';

export const show: Command = {
  usage: 'policy show [--version N]',
  help: `--version   an earlier one (default: the one in force)\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, version: { type: 'string' } },
  async run(args) {
    const operator = await openOperator(args);
    const version = versionOf(args, 'version');
    const value =
      version === undefined
        ? await operator.get('/v1/policy', policyView)
        : await operator.get(`/v1/policy/versions/${version}`, policyVersionView);
    const every = 'keysForEveryDevice' in value ? value.keysForEveryDevice : [];
    const note =
      every.length === 0
        ? ''
        : `// it gives the key of every model to every attested device with a TPM, by ${every.join(', ')}\n`;
    const claims = 'claims' in value ? claimLines(value.claims).map((line) => `// ${line}\n`) : [];
    return {
      exitCode: exitCodes.ok,
      value,
      text: `// version ${value.version}, SHA-256 ${value.digest}\n${note}${claims.join('')}${value.text}`,
    };
  },
};

export const apply: Command = {
  usage: 'policy apply FILE… [--expect-version N]',
  help: `
FILE is a *.cedar or *.test.json file, or a folder of both. The hub validates the policy strictly, runs its tests and asks it the newest recorded
decisions; if any of these fails, the one in force stays. Live connections that it no longer permits are closed.

--expect-version   the version that it replaces; if another one is in force, nothing is applied
${operatorHelp}
`,
  positionals: { min: 1, max: 64 },
  options: { ...operatorOption, 'expect-version': { type: 'string' } },
  async run(args) {
    const { text, tests } = await readPolicyFiles(args.positionals);
    const body = { text, tests, expectVersion: versionOf(args, 'expect-version') };
    const value = await (await openOperator(args)).send('PUT', '/v1/policy', body, policyApplied);
    return { exitCode: exitCodes.ok, value, text: appliedText(value) };
  },
};

export const history: Command = {
  usage: 'policy history',
  help: `The newest 1000. \`edgekeep policy show --version N\` shows one.\n\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { versions } = await (await openOperator(args)).get('/v1/policy/versions?limit=1000', policyVersions);
    const rows = versions.map((each) => [
      String(each.version),
      timeText(each.appliedAt),
      each.appliedBy,
      String(each.tests),
      each.digest,
    ]);
    const text = listText([['VERSION', 'APPLIED (UTC)', 'BY', 'TESTS', 'SHA-256'], ...rows]);
    return { exitCode: exitCodes.ok, value: versions, text };
  },
};

export const rollback: Command = {
  usage: 'policy rollback VERSION [--expect-version N]',
  help: `
Applies its text and tests again, as the next version.

--expect-version   the version that it replaces; if another one is in force, nothing is applied
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, 'expect-version': { type: 'string' } },
  async run(args) {
    const [text = ''] = args.positionals;
    const body = { version: numberOf(text, 'VERSION'), expectVersion: versionOf(args, 'expect-version') };
    const value = await (await openOperator(args)).send('POST', '/v1/policy/rollback', body, policyApplied);
    return { exitCode: exitCodes.ok, value, text: appliedText(value) };
  },
};

function appliedText(value: { version: number; digest: string; connectionsClosed: number }): string {
  const closed = value.connectionsClosed === 0 ? '' : `; ${counted(value.connectionsClosed, 'connection')} closed`;
  return `policy version ${value.version} is in force (SHA-256 ${value.digest})${closed}`;
}

function versionOf(args: Arguments, name: string): number | undefined {
  const text = args.option(name);
  return text === undefined ? undefined : numberOf(text, `--${name}`);
}

function numberOf(text: string, name: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${name} takes the number of a version`);
  return Number(text);
}
