// What a device learns about a failure of the place where files lie: the code, and when to come back. Where the bucket is, and what its server
// said, is in the alert.
import { HubError } from '../common/error.ts';

const texts = new Map<string, string>([
  ['artifact-lost', 'this file is lost or was changed where the hub keeps it'],
  ['artifacts-refused', 'the place of the files refuses the hub'],
  ['artifacts-unreachable', 'the place of the files does not answer the hub'],
]);

/** The same error without the place; others as they are. */
export function forDevices(error: unknown): unknown {
  const text = error instanceof HubError ? texts.get(error.code) : undefined;
  if (!(error instanceof HubError) || text === undefined) return error;
  const { code, retryAfterSeconds } = error;
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new HubError(code, `${text}: the hub's operators have an alert about it`, { ...retry, cause: error });
}
