// The outcome of a gRPC call (grpc/doc/statuscodes.md) for each error of the guard. Follows spec/inference.md section 6.
import { GuardError, type GuardErrorCode } from '../error.ts';

const codes = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

const codeOf: Readonly<Record<GuardErrorCode, number>> = {
  'request-invalid': codes.invalidArgument,
  'request-too-large': codes.resourceExhausted,
  'encoding-unsupported': codes.unimplemented,
  'origin-refused': codes.permissionDenied,
  'path-unknown': codes.unimplemented,
  'not-offered': codes.unimplemented,
  'model-unknown': codes.notFound,
  'service-unknown': codes.notFound,
  'method-not-allowed': codes.unimplemented,
  'queue-full': codes.resourceExhausted,
  'queue-timeout': codes.unavailable,
  'deadline-exceeded': codes.deadlineExceeded,
  stopping: codes.unavailable,
  'output-not-representable': codes.invalidArgument,
  'model-run': codes.internal,
  'model-load': codes.internal,
  'model-interface': codes.internal,
  'file-read': codes.internal,
  'order-invalid': codes.internal,
};

/** What is sent in trailers; 0 is success. */
export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

export const succeeded: GrpcStatus = { code: 0, message: '' };

export function grpcStatus(error: unknown): GrpcStatus {
  if (!(error instanceof GuardError)) return { code: codes.internal, message: 'internal: the guard failed' };
  return { code: codeOf[error.code], message: `${error.code}: ${error.message}` };
}

/** Whether the guard or its model failed, and not the request. */
export function isOurs({ code }: GrpcStatus): boolean {
  return code === codes.internal || code === codes.unavailable;
}

/** `grpc-message` is percent-encoded (PROTOCOL-HTTP2.md, "Responses"). */
export function statusHeaders({ code, message }: GrpcStatus): Readonly<Record<string, string>> {
  return message === ''
    ? { 'grpc-status': String(code) }
    : { 'grpc-status': String(code), 'grpc-message': percentEncoded(message) };
}

function percentEncoded(text: string): string {
  return Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}
