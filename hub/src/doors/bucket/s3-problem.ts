// What an answer of an S3 server means that is no success. The codes are those of AWS, MinIO, Ceph, swift and R2; the body is XML, or none with
// some servers, or a page of a balancer before it.
import { printable } from '@edgekeep/core/canonical/printable';
import type { S3Answer } from './s3-request.ts';

export interface S3Problem {
  /**
   * `missing`: no such object. `short`: the object ends before the range. `passing`: it may work in a moment. `refused`: it will not until
   * somebody changes the settings, the rights or the clock.
   */
  readonly kind: 'missing' | 'short' | 'passing' | 'refused';
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

const passingStatus = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Codes with a status that says otherwise: a body that was damaged on its way, a slow sender, a conflict with another request. */
const passingCodes = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'InternalError',
  'RequestTimeout',
  'OperationAborted',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'ThrottlingException',
  'TooManyRequests',
]);

const causes: Readonly<Record<string, string>> = {
  AccessDenied: 'this access key may not do that: the rights are in docs/artifacts.md',
  SignatureDoesNotMatch: 'the secret is not that of the access key, or something on the way changes requests',
  InvalidAccessKeyId: 'the server does not know the access key',
  NoSuchBucket: 'there is no such bucket: create it first, the hub does not',
  InvalidBucketName: 'the server takes no bucket of this name',
  QuotaExceeded: 'the quota of the bucket is used up',
  EntityTooLarge: 'the server takes no object of 8 MiB',
  InvalidObjectState: 'the object was moved to an archive: exclude the prefix from that rule of the bucket',
  NotImplemented: 'the server does not have this operation',
};

/** Undefined for a success. */
export function problemOf({ status, headers, body }: S3Answer, nowMs: number): S3Problem | undefined {
  if (status >= 200 && status < 300) return undefined;
  const xml = body.toString('utf8');
  const code = /<Code>([A-Za-z0-9.]{1,100})<\/Code>/.exec(xml)?.[1];
  const retryAfterMs = retryAfterOf(headers['retry-after'], nowMs);
  const problem = (kind: S3Problem['kind'], why: string): S3Problem => ({
    kind,
    text: text(status, code, why),
    retryAfterMs,
  });
  if (code === 'NoSuchKey') return problem('missing', 'no such object');
  if (code === 'InvalidRange' || status === 416) return problem('short', 'the object is shorter');
  if (status >= 300 && status < 400) return problem('refused', elsewhere(headers['x-amz-bucket-region'], xml));
  if (code === 'RequestTimeTooSkewed' || code === 'RequestExpired')
    return problem('refused', skew(headers.date, nowMs));
  if (code === 'AuthorizationHeaderMalformed' || code === 'AuthorizationQueryParametersError')
    return problem('refused', elsewhere(headers['x-amz-bucket-region'], xml));
  if (code !== undefined && passingCodes.has(code)) return problem('passing', 'it is busy or failing');
  if (code !== undefined && Object.hasOwn(causes, code)) return problem('refused', causes[code] ?? '');
  if (passingStatus.has(status)) return problem('passing', 'it is busy or failing');
  if (code === undefined && (status === 401 || status === 403))
    return problem('refused', 'the access key, its secret or its rights are not accepted');
  if (code === undefined) return problem('refused', 'that is no answer of an S3 server: is the endpoint right?');
  return problem('refused', messageIn(xml));
}

function text(status: number, code: string | undefined, why: string): string {
  return `${status}${code === undefined ? '' : ` ${code}`}: ${why}`;
}

function elsewhere(header: string | string[] | undefined, xml: string): string {
  const region = typeof header === 'string' ? header : /<Region>([a-z0-9-]{1,64})<\/Region>/.exec(xml)?.[1];
  const host = /<Endpoint>([A-Za-z0-9.-]{1,200})<\/Endpoint>/.exec(xml)?.[1];
  const found = [
    ...(region === undefined ? [] : [`region ${printable(region).slice(0, 64)}`]),
    ...(host === undefined ? [] : [`endpoint ${host}`]),
  ];
  const named = found.length === 0 ? '' : ` (${found.join(', ')})`;
  return `the bucket is in another region or at another endpoint${named}: the hub follows no redirect, correct artifacts.region and artifacts.endpoint`;
}

function skew(date: string | undefined, nowMs: number): string {
  const serverMs = Date.parse(date ?? '');
  if (Number.isNaN(serverMs)) return "this machine's clock and the server's differ too much: set the clock";
  const seconds = Math.round((nowMs - serverMs) / 1_000);
  const direction = seconds >= 0 ? 'ahead of' : 'behind';
  return `this machine's clock is ${Math.abs(seconds)} s ${direction} the server's: set the one that is wrong`;
}

function messageIn(xml: string): string {
  return printable(/<Message>([^<]{1,300})<\/Message>/.exec(xml)?.[1] ?? 'no reason was given');
}

/** Seconds or a date (RFC 9110 section 10.2.3). */
function retryAfterOf(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
