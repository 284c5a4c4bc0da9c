import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { gradeScores, judge, wantsFallback, worstVerdict, type Grade } from './verdict.ts';

const threshold = 0.85;
const sure: Grade = { class: 1, confidence: 0.9, valid: true };
const unsure: Grade = { class: 1, confidence: 0.6, valid: true };
const invalid: Grade = { class: 0, confidence: 0, valid: false };

test('a usual image and a sure answer are accepted without reasons', () => {
  assert.deepEqual(judge([], sure, undefined, threshold), {
    verdict: 'accepted',
    reasons: [],
    grade: sure,
    modelUsed: 'primary',
  });
});

test('confidence exactly at the threshold is enough', () => {
  assert.equal(judge([], { ...sure, confidence: threshold }, undefined, threshold).verdict, 'accepted');
});

test('an unusual image goes to review although both models are sure of it', () => {
  const judgement = judge(['noise-high'], sure, sure, threshold);
  assert.equal(judgement.verdict, 'review');
  assert.deepEqual(judgement.reasons, ['noise-high']);
});

test('an unsure answer without a fallback model goes to review', () => {
  assert.deepEqual(judge([], unsure, undefined, threshold).reasons, ['confidence-low', 'fallback-missing']);
});

test('a sure fallback that agrees gives the answer', () => {
  const judgement = judge([], unsure, sure, threshold);
  assert.deepEqual(judgement, {
    verdict: 'fallback',
    reasons: ['confidence-low', 'fallback-agrees'],
    grade: sure,
    modelUsed: 'fallback',
  });
});

test('a sure fallback that disagrees goes to review with the answer of the primary', () => {
  const judgement = judge([], unsure, { ...sure, class: 0 }, threshold);
  assert.equal(judgement.verdict, 'review');
  assert.deepEqual(judgement.reasons, ['confidence-low', 'fallback-disagrees']);
  assert.equal(judgement.modelUsed, 'primary');
});

test('two unsure models go to review', () => {
  assert.deepEqual(judge([], unsure, unsure, threshold).reasons, ['confidence-low', 'fallback-confidence-low']);
});

test('scores that are no distribution never earn trust, from either model', () => {
  assert.deepEqual(judge([], invalid, sure, threshold).reasons, [
    'confidence-low',
    'fallback-disagrees',
    'scores-invalid',
  ]);
  assert.deepEqual(judge([], unsure, invalid, threshold).reasons, ['confidence-low', 'fallback-scores-invalid']);
});

test('an answer is accepted only for a usual image and a confidence at the threshold or above', () => {
  const grade = fc.record({
    class: fc.nat(3),
    confidence: fc.double({ min: 0, max: 1, noNaN: true }),
    valid: fc.constant(true),
  });
  const unusual = fc.subarray(['brightness-low', 'noise-high'] as const);
  fc.assert(
    fc.property(unusual, grade, fc.option(grade, { nil: undefined }), (reasons, primary, fallback) => {
      const judgement = judge(reasons, primary, fallback, threshold);
      if (judgement.verdict !== 'review') {
        assert.equal(reasons.length, 0);
        assert(judgement.grade.confidence >= threshold);
        assert.equal(judgement.grade.class, primary.class);
      }
      if (judgement.verdict === 'fallback') assert(wantsFallback(reasons, primary, threshold));
    }),
  );
});

test('the worst verdict of a batch is its verdict', () => {
  const accepted = judge([], sure, undefined, threshold);
  const fallback = judge([], unsure, sure, threshold);
  const review = judge([], unsure, undefined, threshold);
  assert.equal(worstVerdict([accepted, fallback]), 'fallback');
  assert.equal(worstVerdict([accepted, review, fallback]), 'review');
  assert.equal(worstVerdict([accepted]), 'accepted');
});

test('logits become the softmax probability of the best class, however large they are', () => {
  const grade = gradeScores(Float32Array.of(1000, 1002, 990), 'logits');
  assert.equal(grade.class, 1);
  assert(Math.abs(grade.confidence - 1 / (1 + Math.exp(-2) + Math.exp(-12))) < 1e-12);
});

test('probabilities are taken as they are', () => {
  assert.deepEqual(gradeScores(Float32Array.of(0.25, 0.75), 'probabilities'), {
    class: 1,
    confidence: 0.75,
    valid: true,
  });
});

test('scores that are not finite, or probabilities that do not add up to one, have no confidence', () => {
  assert.equal(gradeScores(Float32Array.of(1, Number.NaN), 'logits').valid, false);
  assert.equal(gradeScores(Float32Array.of(1, Infinity), 'logits').confidence, 0);
  assert.equal(gradeScores(Float32Array.of(0.9, 0.9), 'probabilities').valid, false);
  assert.equal(gradeScores(Float32Array.of(5, -4), 'probabilities').confidence, 0);
});
