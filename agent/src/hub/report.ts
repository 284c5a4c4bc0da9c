// The device's report at a check-in: verdicts of the guards as totals (never inputs), which models it holds and why it does not hold
// others, how far its clock is off, its attributes, and a fork of the log if it saw one. The answer has the desired attributes.
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import type { Attributes } from '@edgekeep/wire/api/attributes';
import { reportResponse } from '@edgekeep/wire/api/report';
import type { GuardReport } from '@edgekeep/wire/api/guard-report';
import { FAULT_MESSAGE_CHARACTERS_MAX, type ModelReport } from '@edgekeep/wire/api/model-report';
import type { z } from 'zod';
import { type Answer, postToHub, type Send } from '../hub-api.ts';
import type { LocalFailure } from '../local-failure.ts';

export interface ModelCounts {
  readonly model: string;
  readonly version: string;
  readonly counts: GuardCounts;
}

export interface Report {
  readonly counts: readonly ModelCounts[];
  readonly models?: readonly ModelReport[];
  readonly guard?: GuardReport | undefined;
  /** How far this device's clock is ahead of the hub's. */
  readonly clockSkewSeconds?: number | undefined;
  readonly forkProof?: string | undefined;
  /** Left out when the hub has them already. */
  readonly attributes?: Attributes | undefined;
  /** The version of the desired attributes that the device has. */
  readonly desiredVersion?: number;
}

/**
 * Reports a failure of this machine before the check-in could show that its log continues. The hub's answer is not used. A final fault
 * stays the reported one of its model.
 */
export async function tellFailure(
  send: Send,
  models: readonly ModelReport[],
  failure: LocalFailure & { readonly attempts: number },
): Promise<void> {
  const { code, attempts } = failure;
  const message = Array.from(failure.message).slice(0, FAULT_MESSAGE_CHARACTERS_MAX).join('');
  const fault = {
    version: null,
    manifestDigest: null,
    code,
    place: 'check-in',
    message,
    attempts,
    final: false,
  } as const;
  const told = models.map((model) => (model.fault?.final === true ? model : { ...model, fault }));
  await sendReport(send, { counts: [], models: told });
}

export function sendReport(
  send: Send,
  { counts: all, models, guard, clockSkewSeconds, forkProof, attributes, desiredVersion }: Report,
): Promise<Answer<z.infer<typeof reportResponse>>> {
  const counts = all.map(({ model, version, counts: { accepted: taken, fallback, review, failed } }) => {
    return { model, version, accepted: taken, fallback, review, failed };
  });
  // Members without a value are not written.
  const report = {
    counts: counts.length === 0 ? undefined : counts,
    models: models?.length === 0 ? undefined : models,
    guard,
    clockSkewSeconds,
    forkProof,
    attributes,
    desiredVersion,
  };
  return postToHub(send, '/v1/reports', report, reportResponse);
}
