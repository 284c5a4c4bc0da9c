// What the device tells its hub at a check-in: how the guards judged, as totals (never inputs), and a fork of the log where it saw one.
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import { z } from 'zod';
import { type Answer, postToHub, type Send } from './hub-api.ts';

export interface ModelCounts {
  readonly model: string;
  readonly version: string;
  readonly counts: GuardCounts;
}

const accepted = z.object({ accepted: z.boolean() });

export function sendReport(
  send: Send,
  { models, forkProof }: { readonly models: readonly ModelCounts[]; readonly forkProof?: string | undefined },
): Promise<Answer<{ accepted: boolean }>> {
  const counts = models.map(({ model, version, counts: { accepted: taken, fallback, review, failed } }) => {
    return { model, version, accepted: taken, fallback, review, failed };
  });
  const report = { ...(counts.length === 0 ? {} : { counts }), ...(forkProof === undefined ? {} : { forkProof }) };
  return postToHub(send, '/v1/reports', report, accepted);
}
