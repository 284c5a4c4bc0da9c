// Policy decisions a second at 10, 100 and 1,000 statements: bare Cedar, a question that was never asked, and a fleet that asks the same few.
import { preparsePolicySet, preparseSchema, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { loadPolicy } from '@edgekeep/core/policy/policy';
import { type Question, questionSchema } from '@edgekeep/core/policy/question';
import { requestOf } from '@edgekeep/core/policy/request';
import { policySchema } from '@edgekeep/core/policy/schema';
import type { Benchmark, Harness } from './harness.ts';

const statementCounts = [10, 100, 1_000] as const;
const fleet = 1_000;

export const bench: Benchmark = {
  name: 'policy',
  title: 'Access policy decisions',
  budget: 'a decision that was made before costs next to nothing; a new one costs what Cedar costs',
  async run(harness) {
    for (const count of statementCounts) await measure(harness, count);
  },
};

async function measure(harness: Harness, count: number): Promise<void> {
  const text = textOf(count);
  const loaded = loadPolicy(text, { name: 'bench' });
  if (loaded.kind === 'refused') throw new TypeError(loaded.faults.map(({ message }) => message).join('; '));
  using policy = loaded.policy;
  const questions = Array.from({ length: fleet }, (_, at) => questionOf(at));
  const rounds = harness.quick ? 3 : 10;
  // Chosen so that one run takes about as long at each size.
  const cold = Math.max(20, Math.round((harness.quick ? 4_000 : 20_000) / count));
  const bareSet = `bare ${count}`;
  const about = policy.statements.filter(({ actions }) => actions.includes('connect'));
  preparseSchema('bare', policySchema);
  preparsePolicySet(bareSet, { staticPolicies: Object.fromEntries(about.map(({ id, text: own }) => [id, own])) });
  const requests = questions.map(requestOf);
  const comparison = await harness.compare({
    title: `${count} statements, new questions`,
    rounds,
    work: { amount: cold, unit: 'decisions' },
    peers: [
      {
        name: 'bare Cedar (WebAssembly)',
        run: async () => repeat(cold, (at) => askBare(bareSet, requests[at % fleet])),
      },
      {
        name: 'edgekeep, never asked',
        run: async () => repeat(cold, (at) => policy.decideAnew(questions[at % fleet] ?? questionOf(at))),
      },
    ],
  });
  const warm = harness.quick ? 50_000 : 500_000;
  const remembered = await harness.compare({
    title: `${count} statements, ${fleet} devices that ask again`,
    rounds,
    work: { amount: warm, unit: 'decisions' },
    peers: [
      {
        name: 'edgekeep, asked before',
        run: async () => repeat(warm, (at) => policy.decide(questions[at % fleet] ?? questionOf(at))),
      },
    ],
  });
  const rateOf = (peers: typeof comparison.peers, name: string) =>
    peers.find((peer) => peer.name === name)?.rate?.median ?? 0;
  const anew = rateOf(comparison.peers, 'edgekeep, never asked');
  const bare = rateOf(comparison.peers, 'bare Cedar (WebAssembly)');
  const again = rateOf(remembered.peers, 'edgekeep, asked before');
  harness.verdict(
    anew > 0.5 * bare && again > 20 * bare,
    `${count} statements: ${Math.round(anew)} new decisions a second, ${Math.round(again)} remembered ones, bare Cedar ${Math.round(bare)}.`,
  );
}

// All about one action, which is the worst case: statements about other actions are not evaluated.
function textOf(count: number): string {
  const statements = Array.from({ length: count - 1 }, (_, at) => {
    const line = `line-${at}`;
    return `@id("${line}") forbid (principal, action == Edgekeep::Action::"connect", resource) when { principal.hasTag("line") && principal.getTag("line") == "${line}" && context.time.hour < 6 };`;
  });
  return `${everyAttestedTpmPolicyText}${statements.join('\n')}`;
}

function questionOf(at: number): Question {
  const principal = {
    kind: 'device',
    id: `press-${at}`,
    tags: { line: `line-${at % 50}` },
    site: 'graz',
    groups: ['pilot'],
  };
  return questionSchema.parse({ action: 'connect', principal, context: { time: { hour: 12 }, zone: '2.0' } });
}

function askBare(preparsedPolicySetId: string, request: ReturnType<typeof requestOf> | undefined): void {
  if (request === undefined) return;
  statefulIsAuthorized({ ...request, preparsedPolicySetId, preparsedSchemaName: 'bare', validateRequest: true });
}

function repeat(times: number, work: (at: number) => void): undefined {
  for (let at = 0; at < times; at += 1) work(at);
}
