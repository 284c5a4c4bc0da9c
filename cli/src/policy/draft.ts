// `edgekeep policy validate|test|diff`: checks a draft before it is sent to a hub. `validate` and `test` need no hub: they run the hub's
// own engine.
import { counted } from '@edgekeep/core/counted';
import { differencesOf, type PolicyDifferences } from '@edgekeep/core/policy/differences';
import { loadPolicy, type Policy } from '@edgekeep/core/policy/policy';
import { failedTests } from '@edgekeep/core/policy/test-file';
import { policyVersionView, policyView } from '@edgekeep/wire/api/policy';
import { exitCodes, type Command, type Outcome, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { loadDraft, readPolicyFiles } from './files.ts';

const filesHelp = 'FILE is a *.cedar or *.test.json file, or a folder of both.';

export const validate: Command = {
  usage: 'policy validate FILE…',
  help: `${filesHelp} Exit code 1 and every reason when a hub would refuse it.`,
  positionals: { min: 1, max: 64 },
  options: {},
  async run(args) {
    const { text } = await readPolicyFiles(args.positionals);
    const draft = loadDraft(text);
    if (!isPolicy(draft)) return refused(draft);
    using policy = draft;
    const { digest, statements } = policy;
    const value = {
      valid: true,
      digest,
      statements: statements.map(({ id, effect, actions }) => ({ id, effect, actions })),
    };
    return {
      exitCode: exitCodes.ok,
      value,
      text: `valid: ${counted(statements.length, 'statement')} (SHA-256 ${digest})`,
    };
  },
};

export const test: Command = {
  usage: 'policy test FILE…',
  help: `${filesHelp} A test is a question to the policy with the expected answer (spec/access.md). Exit code 1 when one fails.`,
  positionals: { min: 1, max: 64 },
  options: {},
  async run(args) {
    const { text, tests } = await readPolicyFiles(args.positionals);
    if (tests === undefined) throw new UsageError('no *.test.json file there');
    const draft = loadDraft(text);
    if (!isPolicy(draft)) return refused(draft);
    using policy = draft;
    const failed = failedTests(policy, tests);
    const lines = failed.map(({ name, message }) => `FAILED ${name}: ${message}`);
    const sum = `${tests.tests.length - failed.length} of ${tests.tests.length} tests pass`;
    return {
      exitCode: failed.length === 0 ? exitCodes.ok : exitCodes.refused,
      value: { tests: tests.tests.length, failed },
      text: [...lines, sum].join('\n'),
    };
  },
};

export const diff: Command = {
  usage: 'policy diff FILE… [--version N]',
  help: `
${filesHelp} Statements are compared by name; comments, white space and order make no difference.

--version   compare with this version (default: the one in force)
${operatorHelp}
`,
  positionals: { min: 1, max: 64 },
  options: { ...operatorOption, version: { type: 'string' } },
  async run(args) {
    const { text } = await readPolicyFiles(args.positionals);
    const draft = loadDraft(text);
    if (!isPolicy(draft)) return refused(draft);
    using policy = draft;
    const operator = await openOperator(args);
    const version = args.option('version') ?? String((await operator.get('/v1/policy', policyView)).version);
    const before = await operator.get(`/v1/policy/versions/${encodeURIComponent(version)}`, policyVersionView);
    const loaded = loadPolicy(before.text, { name: `policy ${version}`, meaning: before.meaning, stored: true });
    if (loaded.kind === 'refused') return refused(loaded.faults.map(({ message }) => message));
    using old = loaded.policy;
    const value = differencesOf(old.statements, policy.statements);
    return {
      exitCode: exitCodes.ok,
      value: { version: before.version, ...value },
      text: differenceText(value, version),
    };
  },
};

function differenceText({ added, removed, changed, same }: PolicyDifferences, version: string): string {
  const indent = (sign: string, text: string) => text.trim().replaceAll(/^/gm, `${sign} `);
  const blocks = [
    ...removed.map(({ id, text }) => `removed ${id}\n${indent('-', text)}`),
    ...added.map(({ id, text }) => `added ${id}\n${indent('+', text)}`),
    ...changed.map(({ id, before, after }) => `changed ${id}\n${indent('-', before)}\n${indent('+', after)}`),
  ];
  const sum = `${added.length} added, ${removed.length} removed, ${changed.length} changed, ${same} unchanged from policy ${version}`;
  return [...blocks, sum].join('\n\n');
}

function isPolicy(draft: Policy | readonly string[]): draft is Policy {
  return !Array.isArray(draft);
}

function refused(reasons: readonly string[]): Outcome {
  return {
    exitCode: exitCodes.refused,
    value: { valid: false, reasons },
    text: reasons.map((reason) => `REFUSED ${reason}`).join('\n'),
  };
}
