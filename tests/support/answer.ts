// An answer of a hub, and two assertions on it: it was accepted, or it was refused with this status, code and reason.
import assert from 'node:assert/strict';
import { parseJson } from '@edgekeep/core/json';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import type { ZodType } from 'zod';

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  /** The first of the reasons must have this code. */
  readonly reason?: string;
  /** The message or one of the reasons' messages must match. */
  readonly says?: RegExp;
}

/** The body of an answer that must be 200. */
export function accepted<T>(answer: Answer, schema: ZodType<T>): T {
  assert.equal(answer.status, 200, Buffer.from(answer.body).toString());
  return parseJson(answer.body, schema, 'answer');
}

export type RefusalBody = ReturnType<typeof errorResponse.parse>['error'];

export function assertRefused(answer: Answer, expected: Refusal): RefusalBody {
  assert.equal(answer.status, expected.status, Buffer.from(answer.body).toString());
  const { error } = parseJson(answer.body, errorResponse, 'refusal');
  assert.equal(error.code, expected.code, error.message);
  if (expected.reason !== undefined)
    assert.equal(error.reasons[0]?.code, expected.reason, JSON.stringify(error.reasons));
  if (expected.says !== undefined) {
    const texts = [error.message, ...error.reasons.map(({ message }) => message)].join('\n');
    assert.match(texts, expected.says);
  }
  return error;
}
