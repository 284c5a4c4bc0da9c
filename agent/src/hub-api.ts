// Requests to the hub: JSON out, a checked value or a refusal back (spec/api.md). A refusal of the hub is a value; an answer in an unknown
// form is an error.
import { parseJson } from '@edgekeep/core/json';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import type { HubRequest, HubResponse } from '@edgekeep/wire/link/exchange';
import type { ZodType } from 'zod';
import { AgentError } from './error.ts';

export type Send = (input: HubRequest) => Promise<HubResponse>;

export interface Reason {
  readonly code: string;
  readonly message: string;
}

/** The hub refused. `code` is one of docs/errors.md. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: string;
  readonly message: string;
  readonly reasons: readonly Reason[];
  readonly attestationResult: string | undefined;
}

export type Answer<T> = { readonly kind: 'ok'; readonly value: T } | Refusal;

/** Refusals that mean: this device is cut off and must give up everything that it was trusted with. */
export const cutOffCodes: readonly string[] = ['device-quarantined', 'device-retired', 'device-disabled'];

// Operators read the text of a refusal; a compromised hub must not be able to fill the log with it.
const REASONS_MAX = 16;
const TEXT_MAX = 600;

export async function getFromHub<T>(
  send: Send,
  path: string,
  schema: ZodType<T>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  return answerOf(await send({ method: 'GET', path, headers }), path, schema);
}

export async function postToHub<T>(
  send: Send,
  path: string,
  body: object | undefined,
  schema: ZodType<T>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const content =
    body === undefined
      ? { headers }
      : { body: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } };
  return answerOf(await send({ method: 'POST', path, ...content }), path, schema);
}

/** Parses an answer; throws as `refusalOf` does, and a CoreError for a broken body. */
export function answerOf<T>(response: HubResponse, path: string, schema: ZodType<T>): Answer<T> {
  if (response.status === 200) return { kind: 'ok', value: parseJson(response.body, schema, path) };
  return refusalOf(response, path);
}

// Too many requests, and every failure of the hub itself: these say nothing about this device, and pass.
const isTransient = (status: number) => status === 429 || status >= 500;

/** The hub's refusal. Throws `hub-answer-invalid` for a refusal in an unknown form, and `hub-refused` when the hub itself has a failure. */
export function refusalOf({ status, body }: HubResponse, path: string): Refusal {
  let error;
  try {
    ({ error } = parseJson(body, errorResponse, path));
  } catch (cause) {
    throw new AgentError('hub-answer-invalid', `${path}: the hub answered ${status} in an unknown form`, { cause });
  }
  if (isTransient(status)) {
    throw new AgentError(
      'hub-refused',
      `${path}: the hub answered ${status}, ${error.code.slice(0, TEXT_MAX)}: try again later`,
    );
  }
  return {
    kind: 'refused',
    code: error.code.slice(0, TEXT_MAX),
    message: error.message.slice(0, TEXT_MAX),
    reasons: error.reasons.slice(0, REASONS_MAX).map(({ code, message }) => {
      return { code: code.slice(0, TEXT_MAX), message: message.slice(0, TEXT_MAX) };
    }),
    attestationResult: error.attestationResult,
  };
}

/** One line for a log: the message, and the first reason if there is one. */
export function refusalText({ code, message, reasons }: Refusal): string {
  const [first] = reasons;
  return first === undefined ? `${code}: ${message}` : `${code}: ${message}: ${first.message}`;
}
