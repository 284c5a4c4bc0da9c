// What a service manager learns from the end of a hub (deploy/edgekeep-hub.service).
import type { HubError } from '../common/error.ts';

/** 4 where the database is away, which passes: the hub is started again. 3 where a person is needed. */
export function exitCodeOf({ code }: HubError): 3 | 4 {
  return code === 'store-unavailable' || code === 'outcome-unknown' ? 4 : 3;
}
