// The assertions of a fuzz run on every answer of a hub's routes, and the number of inputs.
import assert from 'node:assert/strict';
import { parseJson } from '@edgekeep/core/json';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import type { Answer } from './answer.ts';

/** EDGEKEEP_FUZZ_INPUTS, shared by the runs of a file; the default keeps each of them to a few seconds. */
export function fuzzInputs(byDefault: number): number {
  return Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? byDefault);
}

/** Accepted, or refused in the one error form with a status that says whose fault it was: never the hub's. */
export function assertNamedAnswer(what: string, { status, body }: Answer): void {
  const text = Buffer.from(body).toString('utf8').slice(0, 500);
  assert.ok(status >= 200 && status < 500, `${what} was answered with ${status}: ${text}`);
  if (status < 400) return;
  const { error } = parseJson(body, errorResponse, what);
  assert.ok(error.message.length > 0 && error.message.length < 20_000, `${what}: ${error.message.length} characters`);
}
