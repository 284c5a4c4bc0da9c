// Opens the operator door: who may pass, and which requests wait for a second person.
import type { Access } from '../../access/open.ts';
import type { Clock } from '../../common/clock.ts';
import { ApprovedRequests } from '../../people/approved-requests.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Admission } from '../http/admission.ts';
import { requireScopeWith, type RequireScope } from './door.ts';
import { TwoPeople } from './two-people.ts';

export interface OperatorDoor {
  readonly requireScope: RequireScope;
  readonly twoPeople: TwoPeople;
}

export function openOperatorDoor(
  database: Database,
  { gate, facts }: Access,
  admission: Admission,
  { access, clock }: { readonly access: HubSettings['access']; readonly clock: Clock },
): OperatorDoor {
  const approved = new ApprovedRequests();
  return {
    requireScope: requireScopeWith(database, clock, approved, gate, admission),
    twoPeople: new TwoPeople(database, facts.policies, access, clock, approved),
  };
}
