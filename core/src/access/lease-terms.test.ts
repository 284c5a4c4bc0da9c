import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { toHex } from '../bytes.ts';
import { emptyPolicy } from '../tpm/policy.ts';
import { type LeaseTerms, leaseTermsSchema, leaseTermSteps, policyLeaseTerms } from './lease-terms.ts';

const u32 = fc.nat({ max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(String);
const anyTerms = fc.record({ resetCount: u32, restartCount: u32, clockMost: u64, counterMost: u64 });

test('terms of any numbers that fit are read, and stand in their steps', () => {
  fc.assert(
    fc.property(anyTerms, (terms) => {
      assert.deepEqual(leaseTermsSchema.parse(terms), { ...terms });
      const operands = leaseTermSteps(terms).map(({ term }) => BigInt(`0x${toHex(term.operand)}`));
      const { resetCount, restartCount, clockMost, counterMost } = terms;
      assert.deepEqual(operands, [resetCount, restartCount, clockMost, counterMost].map(BigInt));
    }),
  );
});

test('any other text in the place of a number is refused and breaks nothing', () => {
  const terms = { resetCount: 5, restartCount: 1, clockMost: '90061001', counterMost: '3' };
  const text = fc.oneof(fc.string(), fc.constantFrom('1e9', '0x10', ' 1', '1 ', '+1', '00', '1n', '١'));
  fc.assert(
    fc.property(text, (clockMost) => {
      const isNumber = /^(0|[1-9][0-9]*)$/.test(clockMost);
      assert.equal(leaseTermsSchema.safeParse({ ...terms, clockMost }).success, isNumber);
    }),
  );
});

test('terms that differ anywhere give another policy', () => {
  const policy = (terms: LeaseTerms) => toHex(policyLeaseTerms(emptyPolicy(), terms));
  fc.assert(
    fc.property(
      anyTerms,
      anyTerms,
      fc.constantFrom('resetCount', 'restartCount', 'clockMost', 'counterMost'),
      (terms, other, name) => {
        fc.pre(terms[name] !== other[name]);
        assert.notEqual(policy({ ...terms, [name]: other[name] }), policy(terms));
      },
    ),
  );
});
