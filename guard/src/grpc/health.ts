// The public health service (grpc.health.v1, grpc/doc/health-checking.md), which probes of Kubernetes, load balancers and channels of clients
// ask: about the guard as a whole (an empty name), or about its inference service. Follows spec/inference.md section 6.
import { GuardError } from '../error.ts';
import type { InferenceService } from '../inference-service.ts';
import { ProtobufWriter } from '../protobuf.ts';
import { parseModelRequest } from './messages.ts';

/** HealthCheckResponse.ServingStatus. */
const statuses = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;
const services: ReadonlySet<string> = new Set(['', 'inference.GRPCInferenceService']);

/** @throws GuardError `service-unknown` */
export function checkHealth(service: InferenceService, message: Uint8Array): Uint8Array {
  if (!isKnown(message)) throw new GuardError('service-unknown', 'no such service in spec/inference.proto');
  return encodeStatus(service.stopping ? statuses.notServing : statuses.serving);
}

/** The status now, and the one that follows when the guard leaves. A service that is unknown stays unknown, and is no failure of the call. */
export async function* watchHealth(
  service: InferenceService,
  message: Uint8Array,
  left: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const isServed = isKnown(message);
  const now = service.stopping ? statuses.notServing : statuses.serving;
  yield encodeStatus(isServed ? now : statuses.serviceUnknown);
  await left();
  // A guard that is replaced still serves: the watcher asks the next one.
  if (isServed && service.stopping && now === statuses.serving) yield encodeStatus(statuses.notServing);
}

// HealthCheckRequest: the name is field 1, as in requests about a model.
function isKnown(message: Uint8Array): boolean {
  return services.has(parseModelRequest(message).model);
}

function encodeStatus(status: number): Uint8Array {
  return new ProtobufWriter().varint(1, status).end();
}
