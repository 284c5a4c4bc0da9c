// The calls of spec/inference.proto: which function answers each. Follows spec/inference.md section 6.
import { GuardError } from '../error.ts';
import { checkHealth, watchHealth } from './health.ts';
import {
  encodeInferResponse,
  encodeModelConfiguration,
  encodeModelMetadata,
  encodeRepositoryIndex,
  encodeServerMetadata,
  encodeStatistics,
  encodeTruth,
  parseInferRequest,
  parseModelRequest,
  typedRequest,
} from './messages.ts';
import type { InferenceService } from '../inference-service.ts';

/** `isGone` says whether the client has ended the call. */
type Answer = (service: InferenceService, message: Uint8Array, isGone: () => boolean) => Promise<Uint8Array>;

export interface AnsweringMethod {
  /** `stream`: each message of the call is answered by one of its own. */
  readonly kind: 'unary' | 'stream';
  readonly answer: Answer;
}

/** One message is answered by several, until the guard leaves. */
export interface WatchingMethod {
  readonly kind: 'watch';
  readonly watch: (
    service: InferenceService,
    message: Uint8Array,
    left: () => Promise<void>,
  ) => AsyncGenerator<Uint8Array>;
}

export type GrpcMethod = AnsweringMethod | WatchingMethod;

const servicePath = '/inference.GRPCInferenceService/';
const healthPath = '/grpc.health.v1.Health/';

const health: Readonly<Record<string, GrpcMethod>> = {
  Check: about(checkHealth),
  Watch: { kind: 'watch', watch: watchHealth },
};

const methods: Readonly<Record<string, GrpcMethod>> = {
  ServerLive: about(() => encodeTruth(true)),
  ServerReady: about(({ stopping }) => encodeTruth(!stopping)),
  ServerMetadata: about(encodeServerMetadata),
  ModelReady: about((service, message) => encodeTruth(isServed(service, message) && !service.stopping)),
  ModelMetadata: about(ofModel(encodeModelMetadata)),
  ModelConfig: about(ofModel(encodeModelConfiguration)),
  // Without a name: of all models, which is one here.
  ModelStatistics: about((service, message) => {
    const asked = parseModelRequest(message);
    if (asked.model !== '') service.assertServed(asked);
    return encodeStatistics(service);
  }),
  RepositoryIndex: about(encodeRepositoryIndex),
  ModelInfer: { kind: 'unary', answer: infer },
  ModelStreamInfer: { kind: 'stream', answer: infer },
};

const notOffered =
  /^(?:RepositoryModel(?:Load|Unload)|(?:System|Cuda)SharedMemory(?:Status|Register|Unregister)|TraceSetting|Trace|LogSettings)$/;

/** @throws GuardError `path-unknown`, `not-offered` */
export function methodOf(path: string): GrpcMethod {
  if (path.startsWith(healthPath)) return named(health, path.slice(healthPath.length)) ?? unknown();
  const name = path.startsWith(servicePath) ? path.slice(servicePath.length) : '';
  const method = named(methods, name);
  if (method !== undefined) return method;
  if (notOffered.test(name)) throw new GuardError('not-offered', name);
  return unknown();
}

function named(list: Readonly<Record<string, GrpcMethod>>, name: string): GrpcMethod | undefined {
  return Object.hasOwn(list, name) ? list[name] : undefined;
}

function unknown(): never {
  throw new GuardError('path-unknown', 'no such call in spec/inference.proto');
}

function about(answer: (service: InferenceService, message: Uint8Array) => Uint8Array): GrpcMethod {
  return { kind: 'unary', answer: async (service, message) => answer(service, message) };
}

function ofModel(answer: (service: InferenceService) => Uint8Array) {
  return (service: InferenceService, message: Uint8Array) => {
    service.assertServed(parseModelRequest(message));
    return answer(service);
  };
}

function isServed(service: InferenceService, message: Uint8Array): boolean {
  const { model, version = service.model.version } = parseModelRequest(message);
  return model === service.model.name && version === service.model.version;
}

async function infer(service: InferenceService, message: Uint8Array, isGone: () => boolean): Promise<Uint8Array> {
  const asked = parseInferRequest(message);
  service.assertServed(asked);
  return service.answer({
    parse: (model) => typedRequest(asked, model),
    encode: (request, inference) => encodeInferResponse(service, request, inference),
    isGone,
  });
}
