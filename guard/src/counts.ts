// Totals of verdicts and reasons since the guard started: no other data about predictions leaves the device.
import type { GuardCounts, VerdictReason } from '@edgekeep/core/model/guard-protocol';
import type { Assessment } from './model/guarded-model.ts';

export class Counts {
  readonly #totals = { accepted: 0, fallback: 0, review: 0, unguarded: 0, refused: 0, failed: 0 };
  readonly #reasons = new Map<VerdictReason, number>();

  addAnswer(assessments: readonly Assessment[] | undefined): void {
    if (assessments === undefined) this.#totals.unguarded += 1;
    for (const { judgement } of assessments ?? []) {
      this.#totals[judgement.verdict] += 1;
      for (const reason of judgement.reasons) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
  }

  addRefused(): void {
    this.#totals.refused += 1;
  }

  addFailed(): void {
    this.#totals.failed += 1;
  }

  read(): GuardCounts {
    return { ...this.#totals, reasons: Object.fromEntries(this.#reasons) };
  }
}
