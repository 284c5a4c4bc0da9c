// What the device tells its hub at a check-in: how the guards judged, as totals (never inputs), which models it holds and why others not, how far
// its clock is off, what it says of itself, and a fork of the log where it saw one. The answer brings what operators want of it.
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import type { Attributes } from '@edgekeep/wire/api/attributes';
import { reportResponse } from '@edgekeep/wire/api/device';
import type { GuardReport } from '@edgekeep/wire/api/guard-report';
import type { ModelReport } from '@edgekeep/wire/api/model-report';
import type { z } from 'zod';
import { type Answer, postToHub, type Send } from '../hub-api.ts';

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
  /** Left out while they are what the hub has. */
  readonly attributes?: Attributes | undefined;
  /** The version of the wishes the device has. */
  readonly desiredVersion?: number;
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
