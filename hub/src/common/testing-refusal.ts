// For tests: the error of a refusal.
import assert from 'node:assert/strict';
import { HubError } from './error.ts';

/** The code of the error, and of its first reason if it has one: `renewal-refused: identity-ended`. */
export async function refusalOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    const [reason] = error.reasons;
    return reason === undefined ? error.code : `${error.code}: ${reason.code}`;
  }
  return assert.fail('it was not refused');
}
