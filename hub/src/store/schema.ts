// Joins the tables of every subject, as Kysely sees them. Times are unix milliseconds, bytes are blobs, flags and states are text: a subset
// that SQLite and PostgreSQL share. Each table is in the file of the folder that writes it.
import type { AccessTables } from './tables/access.ts';
import type { AddressTables } from './tables/address.ts';
import type { AlertTables } from './tables/alert.ts';
import type { ArtifactTables } from './tables/artifact.ts';
import type { AttestTables } from './tables/attest.ts';
import type { AuditTables } from './tables/audit.ts';
import type { AuthorityTables } from './tables/authority.ts';
import type { EnrollmentTables } from './tables/enrollment.ts';
import type { EventTables } from './tables/event.ts';
import type { StoreTables } from './tables/store.ts';
import type { ModelTables } from './tables/model.ts';
import type { NodeTables } from './tables/node.ts';
import type { PeopleTables } from './tables/people.ts';
import type { PresenceTables } from './tables/presence.ts';
import type { PublisherTables } from './tables/publisher.ts';
import type { RegistryTables } from './tables/registry.ts';
import type { RespondTables } from './tables/respond.ts';
import type { RevocationTables } from './tables/revocation.ts';
import type { SiteTables } from './tables/site.ts';
import type { VendorRootTables } from './tables/vendor-root.ts';
import type { WebhookTables } from './tables/webhook.ts';
import type { WorkloadTables } from './tables/workload.ts';

export interface Tables
  extends
    AccessTables,
    AddressTables,
    AlertTables,
    ArtifactTables,
    AttestTables,
    AuditTables,
    AuthorityTables,
    EnrollmentTables,
    EventTables,
    StoreTables,
    ModelTables,
    NodeTables,
    PeopleTables,
    PresenceTables,
    PublisherTables,
    RegistryTables,
    RespondTables,
    RevocationTables,
    SiteTables,
    VendorRootTables,
    WebhookTables,
    WorkloadTables {}
