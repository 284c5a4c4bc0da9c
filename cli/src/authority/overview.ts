// The authorities of a hub as a table, which most verbs here print at the end.
import { counted } from '@edgekeep/core/counted';
import type { authorityOverview } from '@edgekeep/wire/api/authority';
import type { z } from 'zod';
import { exitCodes, type Outcome } from '../command.ts';
import { table, timeText } from '../table.ts';

export type Overview = z.infer<typeof authorityOverview>;

export function overviewOutcome(overview: Overview): Outcome {
  const ends = (ms: number | null) => (ms === null ? '' : timeText(ms).slice(0, 16));
  const roots = overview.roots.map(({ version, status, notAfter, sha256, devicesPending, overlapEndsAt }) => [
    `root ${version}`,
    status,
    ends(notAfter),
    sha256.slice(0, 40),
    [
      devicesPending === null
        ? []
        : [devicesPending === 0 ? 'known by all devices' : `not known by ${counted(devicesPending, 'device')}`],
      overlapEndsAt === null || status === 'dropped' ? [] : [`overlap until ${ends(overlapEndsAt)}`],
    ]
      .flat()
      .join(', '),
  ]);
  const issuing = overview.issuing.map(({ id, status, notAfter, root, certificates, activatesAt }) => [
    root === null ? 'issuing CA' : `issuing CA under root ${root}`,
    status,
    ends(notAfter),
    id,
    activatesAt === null ? counted(certificates, 'certificate') : `from ${ends(activatesAt)}`,
  ]);
  const text = table([['', 'STATUS', 'ENDS (UTC)', 'ID', ''], ...roots, ...issuing]);
  return { exitCode: exitCodes.ok, value: overview, text };
}
