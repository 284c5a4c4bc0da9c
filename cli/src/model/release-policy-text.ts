// Release policies of publishers for people: what they say, and which devices they refuse.
import { counted } from '@edgekeep/core/counted';
import { type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import type { assignedGroups, PublisherRefusals } from '@edgekeep/wire/api/model';
import type { ModelView } from '@edgekeep/wire/api/model-release';
import type { z } from 'zod';

/** The release policies of these releases, one after the other; nothing for those without. */
export function policyLines(releases: readonly ModelView[]): readonly string[] {
  return releases.flatMap(({ name, version, releasePolicy: policy }) =>
    policy === null
      ? []
      : [[`release policy of ${name} ${version}, signed by its publisher:`, ...partsOf(policy)].join('\n')],
  );
}

function partsOf(policy: ReleasePolicy): readonly string[] {
  const { tiers, releases, makers, groups, quorum } = policy;
  return [
    `  digest ${releasePolicyDigest(policy)}`,
    `  tiers ${tiers.join(', ')}`,
    ...(releases === undefined ? [] : [`  reference values ${releases.join(', ')}`]),
    ...(makers === undefined ? [] : [`  makers ${makers.join(', ')}`]),
    ...(groups === undefined ? [] : [`  groups ${groups.join(', ')}`]),
    ...(quorum === undefined ? [] : [`  at least ${counted(quorum, 'witness', 'witnesses')}`]),
  ];
}

/** The groups in which the publisher refuses devices. */
export function unmetLines(unmet: z.infer<typeof assignedGroups>['unmet']): readonly string[] {
  return unmet.map((each) => refusalLine(`group ${each.group}`, each));
}

export function refusalLine(what: string, { devices, refused, first, reasons }: PublisherRefusals): string {
  const whom =
    refused === devices ? `all ${counted(devices, 'device')}` : `${refused} of ${counted(devices, 'device')}`;
  const shown = first.length < refused ? `${first.join(', ')}, …` : first.join(', ');
  const why = reasons.map(({ message, devices: count }) => `${message} (${counted(count, 'device')})`).join('; ');
  return `warning: ${what}: the release policy gives ${whom} no key: ${shown}: ${why}`;
}
