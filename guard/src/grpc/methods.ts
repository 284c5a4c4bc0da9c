// The calls of spec/inference.proto: which function answers each. Follows spec/inference.md section 6.
import { GuardError } from '../error.ts';
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

export interface GrpcMethod {
  /** `stream`: each message of the call is answered by one of its own. */
  readonly kind: 'unary' | 'stream';
  readonly answer: Answer;
}

const servicePath = '/inference.GRPCInferenceService/';
/** The public health service, which probes of Kubernetes ask. */
const healthPath = '/grpc.health.v1.Health/Check';

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
  if (path === healthPath) return about(({ stopping }) => encodeTruth(!stopping));
  const name = path.startsWith(servicePath) ? path.slice(servicePath.length) : '';
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method !== undefined) return method;
  if (notOffered.test(name)) throw new GuardError('not-offered', name);
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
