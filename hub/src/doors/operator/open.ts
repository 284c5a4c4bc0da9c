// Opens the operator door: who may pass, which requests wait for a second person, and which were carried out before.
import type { Access } from '../../access/open.ts';
import type { Clock } from '../../common/clock.ts';
import type { Subject } from '../../common/subject.ts';
import { ApprovedRequests } from '../../people/approved-requests.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Admission } from '../http/admission.ts';
import { requireScopeWith, type RequireScope } from './door.ts';
import { RequestKeys } from '../../people/request-keys.ts';
import { RequestKeyHeader } from './request-key.ts';
import { TwoPeople } from './two-people.ts';

export interface OperatorDoor extends Subject {
  readonly requireScope: RequireScope;
  readonly twoPeople: TwoPeople;
  readonly requestKeys: RequestKeyHeader;
}

export function openOperatorDoor(
  database: Database,
  { gate, facts }: Access,
  admission: Admission,
  { settings, clock }: { readonly settings: Pick<HubSettings, 'access' | 'requestKeys'>; readonly clock: Clock },
): OperatorDoor {
  const approved = new ApprovedRequests();
  const keys = new RequestKeys(database, clock, settings.requestKeys);
  const requestKeys = new RequestKeyHeader(database, keys);
  return {
    requireScope: requireScopeWith(database, clock, approved, gate, admission),
    twoPeople: new TwoPeople(database, facts.policies, settings.access, clock, approved),
    requestKeys,
    jobs: keys.jobs,
    metrics: requestKeys.metrics,
  };
}
