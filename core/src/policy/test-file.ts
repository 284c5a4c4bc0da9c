// A policy's tests (spec/access.md, "Tests of a policy"): questions with their expected answers.
import { z } from 'zod';
import { parseJson } from '../json.ts';
import { questionSchema } from './question.ts';
import type { Policy } from './policy.ts';

export const POLICY_TESTS_BYTES_MAX = 1024 * 1024;
const POLICY_TESTS_MAX = 2_000;

export const policyTestsSchema = z.strictObject({
  type: z.literal('edgekeep-policy-tests/v1'),
  tests: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(200),
        question: questionSchema,
        expect: z.enum(['permitted', 'refused']),
        /** Names of the statements that decide; left out: any. */
        by: z.array(z.string().max(256)).max(64).optional(),
      }),
    )
    .min(1)
    .max(POLICY_TESTS_MAX),
});
export type PolicyTests = z.infer<typeof policyTestsSchema>;

/** Reads a test file. Throws `json-schema` with the path of the first fault. */
export function parsePolicyTests(bytes: Uint8Array): PolicyTests {
  return parseJson(bytes, policyTestsSchema, 'policy tests');
}

export interface FailedTest {
  readonly name: string;
  readonly message: string;
}

/** The tests that the policy fails; none when all pass. An evaluation error fails a test with any expectation. */
export function failedTests(policy: Pick<Policy, 'decideAnew'>, { tests }: PolicyTests): readonly FailedTest[] {
  return tests.flatMap(({ name, question, expect, by }) => {
    const decision = policy.decideAnew(question);
    const reasons = decision.kind === 'refused' ? decision.reasons : [];
    const said = `${decision.kind}${decision.statements.length === 0 ? '' : ` by ${decision.statements.join(', ')}`}`;
    const why = reasons.map(({ message }) => message).join('; ');
    if (decision.kind !== expect || reasons.some(({ code }) => code === 'policy-error')) {
      return [{ name, message: `expected ${expect}, it is ${said}${why === '' ? '' : `: ${why}`}` }];
    }
    const wanted = by?.toSorted().join(', ');
    if (wanted !== undefined && wanted !== decision.statements.toSorted().join(', ')) {
      return [{ name, message: `expected ${expect} by ${wanted}, it is ${said}` }];
    }
    return [];
  });
}
