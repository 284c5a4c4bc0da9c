// The authorities of a hub as a table, which most verbs here print at the end.
import { counted } from '@edgekeep/core/counted';
import { issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import type { authorityOverview } from '@edgekeep/wire/api/authority';
import type { z } from 'zod';
import { exitCodes, type Outcome } from '../command.ts';
import { table, timeText } from '../table.ts';

export type Overview = z.infer<typeof authorityOverview>;

const classTexts: Readonly<Record<Overview['issuing'][number]['class'], string>> = {
  general: 'issuing CA for all classes',
  server: 'issuing CA for servers',
  device: 'issuing CA for devices',
  workload: 'issuing CA for workloads',
};

/** What an operator has to have signed: classes without a CA of their own, and requests that wait; empty for nothing. */
export function signaturesPending({ issuing }: Overview): readonly string[] {
  const own = issuing.filter(({ status }) => ['requested', 'next', 'active'].includes(status));
  const without = issuedClasses.filter((wanted) => own.every((each) => each.class !== wanted));
  const asked = issuing.filter(({ status }) => status === 'requested');
  return [
    ...(without.length === 0
      ? []
      : [
          `no issuing CA for ${without.join(', ')} alone: edgekeep authority request --out FILE, then the root signs it`,
        ]),
    ...asked.map(({ id, class: each }) => `${classTexts[each]} ${id} waits for the root: edgekeep root sign-issuing`),
  ];
}

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
  const issuing = overview.issuing.map(({ id, class: each, status, notAfter, root, certificates, activatesAt }) => [
    root === null ? classTexts[each] : `${classTexts[each]} under root ${root}`,
    status,
    ends(notAfter),
    id,
    activatesAt === null ? counted(certificates, 'certificate') : `from ${ends(activatesAt)}`,
  ]);
  const text = table([['', 'STATUS', 'ENDS (UTC)', 'ID', ''], ...roots, ...issuing]);
  return { exitCode: exitCodes.ok, value: overview, text };
}
