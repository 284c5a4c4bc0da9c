// From statistics and class scores to `accepted`, `fallback` or `review`, with reasons. Pure. Follows spec/guard.md section 4.
import type { StatisticsReason, VerdictReason } from '@edgekeep/core/model/guard-protocol';

const verdicts = ['accepted', 'fallback', 'review'] as const;
export type Verdict = (typeof verdicts)[number];

/** One model's result for one image. A row of scores that is no distribution has confidence 0 and `valid` false. */
export interface Grade {
  readonly class: number;
  readonly confidence: number;
  readonly valid: boolean;
}

export interface Judgement {
  readonly verdict: Verdict;
  readonly reasons: readonly VerdictReason[];
  /** The grade of the model whose row is the answer. */
  readonly grade: Grade;
  readonly modelUsed: 'primary' | 'fallback';
}

/** How far the sum of a model's own probabilities may be from 1: float32 softmax over thousands of classes. */
const sumTolerance = 1e-3;

/** The best class of a row of scores, and its probability. */
export function gradeScores(row: Float32Array, scores: 'logits' | 'probabilities'): Grade {
  let best = 0;
  let largest = -Infinity;
  let finite = true;
  for (let index = 0; index < row.length; index += 1) {
    const score = row[index] ?? Number.NaN;
    if (!Number.isFinite(score)) finite = false;
    if (score > largest) {
      largest = score;
      best = index;
    }
  }
  if (!finite) return { class: best, confidence: 0, valid: false };
  if (scores === 'logits') return { class: best, confidence: softmaxOfLargest(row, largest), valid: true };
  const valid = isDistribution(row);
  return { class: best, confidence: valid ? Math.min(largest, 1) : 0, valid };
}

/** The largest softmax probability, by exponents of differences so that nothing overflows. */
function softmaxOfLargest(row: Float32Array, largest: number): number {
  let sum = 0;
  for (const score of row) sum += Math.exp(score - largest);
  return 1 / sum;
}

function isDistribution(row: Float32Array): boolean {
  let sum = 0;
  for (const probability of row) {
    if (probability < -sumTolerance || probability > 1 + sumTolerance) return false;
    sum += probability;
  }
  return Math.abs(sum - 1) <= sumTolerance;
}

/** Whether a second model's opinion could change the verdict. */
export function wantsFallback(unusual: readonly StatisticsReason[], primary: Grade, threshold: number): boolean {
  return unusual.length === 0 && primary.confidence < threshold;
}

/** The verdict on one image. `fallback` is undefined when there is no fallback model or it was not wanted. */
export function judge(
  unusual: readonly StatisticsReason[],
  primary: Grade,
  fallback: Grade | undefined,
  threshold: number,
): Judgement {
  const invalid: readonly VerdictReason[] = primary.valid ? [] : ['scores-invalid'];
  const review = (...reasons: readonly VerdictReason[]): Judgement => ({
    verdict: 'review',
    reasons: [...reasons, ...invalid],
    grade: primary,
    modelUsed: 'primary',
  });
  if (unusual.length > 0) return review(...unusual);
  if (primary.confidence >= threshold)
    return { verdict: 'accepted', reasons: [], grade: primary, modelUsed: 'primary' };
  if (fallback === undefined) return review('confidence-low', 'fallback-missing');
  if (!fallback.valid) return review('confidence-low', 'fallback-scores-invalid');
  if (fallback.confidence < threshold) return review('confidence-low', 'fallback-confidence-low');
  // A primary row that is no distribution has no best class to agree with.
  if (!primary.valid || fallback.class !== primary.class) return review('confidence-low', 'fallback-disagrees');
  return {
    verdict: 'fallback',
    reasons: ['confidence-low', 'fallback-agrees'],
    grade: fallback,
    modelUsed: 'fallback',
  };
}

/** The worst of a batch: review, then fallback, then accepted. */
export function worstVerdict(judgements: readonly Judgement[]): Verdict {
  const worst = Math.max(0, ...judgements.map((judgement) => verdicts.indexOf(judgement.verdict)));
  return verdicts[worst] ?? 'review';
}
