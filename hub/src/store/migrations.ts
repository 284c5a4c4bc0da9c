// Joins the migrations of every subject, in the order of their names (migrate.ts runs them). A shipped one keeps name and content.
import type { Migration } from 'kysely/migration';
import { migration as mainJob } from './migrations/0001-main-job.ts';
import { migration as revocation } from './migrations/0002-revocation.ts';
import { migration as deviceTokens } from './migrations/0003-device-tokens.ts';
import { migration as registry } from './migrations/0004-registry.ts';
import { migration as platformSecrets } from './migrations/0005-platform-secrets.ts';
import { migration as enrollmentGroups } from './migrations/0006-enrolment-groups.ts';
import { migration as conditionalAccess } from './migrations/0007-conditional-access.ts';
import { migration as authorities } from './migrations/0008-authorities.ts';
import { migration as alerts } from './migrations/0009-alerts.ts';
import { migration as presence } from './migrations/0009-presence.ts';
import { migration as peopleAndWorkloads } from './migrations/0010-people-and-workloads.ts';
import { migration as idevids } from './migrations/0012-idevids.ts';
import { migration as vendorRoots } from './migrations/0013-vendor-roots.ts';
import { migration as canonicalKeys } from './migrations/0014-canonical-keys.ts';
import { migration as canonicalValues } from './migrations/0014-canonical-values.ts';
import { migration as imaLog } from './migrations/0014-ima-log.ts';
import { migration as authority } from './migrations/0015-authority.ts';
import { migration as devicesAndModels } from './migrations/0017-devices-and-models.ts';
import { migration as guard } from './migrations/0018-guard.ts';
import { migration as tokenMakers } from './migrations/0019-token-makers.ts';
import { migration as admission } from './migrations/0016-admission.ts';
import { migration as leaseOrder } from './migrations/0020-lease-order.ts';
import { migration as hubNames } from './migrations/0021-hub-names.ts';
import { migration as authorityClasses } from './migrations/0022-authority-classes.ts';
import { migration as referenceStanding } from './migrations/0023-reference-standing.ts';
import { migration as clocks } from './migrations/0024-clocks.ts';
import { migration as tierVouched } from './migrations/0025-tier-vouched.ts';
import { migration as keyList } from './migrations/0027-key-list.ts';
import { migration as releaseEvidence } from './migrations/0028-release-evidence.ts';
import { migration as leaseWrap } from './migrations/0029-lease-wrap.ts';
import { migration as securityState } from './migrations/0030-security-state.ts';
import { migration as witnessPolicy } from './migrations/0038-witness-policy.ts';
import { migration as publisherEnd } from './migrations/0041-publisher-end.ts';
import { migration as imaPolicy } from './migrations/0034-ima-policy.ts';
import { migration as publicWitnesses } from './migrations/0048-public-witnesses.ts';
import { migration as eventCursors } from './migrations/0054-event-cursors.ts';
import { migration as requestKeys } from './migrations/0057-request-keys.ts';
import { migration as nodes } from './migrations/0053-nodes.ts';
import { migration as sharedCosignatures } from './migrations/0063-shared-cosignatures.ts';
import { migration as nodeTables } from './migrations/0052-nodes.ts';
import { migration as webhooks } from './migrations/0064-webhooks.ts';
import { migration as storeMove } from './migrations/0051-store-move.ts';
import { migration as hybridKeys } from './migrations/0044-hybrid-keys.ts';
import { migration as deviceMemory } from './migrations/0046-device-memory.ts';
import { migration as artifacts } from './migrations/0055-artifacts.ts';

export const migrations: Readonly<Record<string, Migration>> = {
  '0001-main-job': mainJob,
  '0002-revocation': revocation,
  '0003-device-tokens': deviceTokens,
  '0004-registry': registry,
  '0005-platform-secrets': platformSecrets,
  '0006-enrolment-groups': enrollmentGroups,
  '0007-conditional-access': conditionalAccess,
  '0008-authorities': authorities,
  '0009-alerts': alerts,
  '0009-presence': presence,
  '0010-people-and-workloads': peopleAndWorkloads,
  '0012-idevids': idevids,
  '0013-vendor-roots': vendorRoots,
  '0014-canonical-keys': canonicalKeys,
  '0014-canonical-values': canonicalValues,
  '0014-ima-log': imaLog,
  '0015-authority': authority,
  '0016-admission': admission,
  '0017-devices-and-models': devicesAndModels,
  '0018-guard': guard,
  '0019-token-makers': tokenMakers,
  '0020-lease-order': leaseOrder,
  '0021-hub-names': hubNames,
  '0022-authority-classes': authorityClasses,
  '0023-reference-standing': referenceStanding,
  '0024-clocks': clocks,
  '0025-tier-vouched': tierVouched,
  '0027-key-list': keyList,
  '0028-release-evidence': releaseEvidence,
  '0029-lease-wrap': leaseWrap,
  '0030-security-state': securityState,
  '0038-witness-policy': witnessPolicy,
  '0044-hybrid-keys': hybridKeys,
  '0046-device-memory': deviceMemory,
  '0034-ima-policy': imaPolicy,
  '0041-publisher-end': publisherEnd,
  '0048-public-witnesses': publicWitnesses,
  '0054-event-cursors': eventCursors,
  '0055-artifacts': artifacts,
  '0057-request-keys': requestKeys,
  '0053-nodes': nodes,
  '0063-shared-cosignatures': sharedCosignatures,
  '0052-nodes': nodeTables,
  '0064-webhooks': webhooks,
  '0051-store-move': storeMove,
};
