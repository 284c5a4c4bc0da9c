// What the guard says of itself and of its model: metadata, configuration, statistics and index, in the protocol's JSON. Follows
// spec/inference.md section 2.
import type { InferenceService } from './inference-service.ts';
import { extensions, extensionsNotOffered, type Route } from './routes.ts';
import type { TensorInterface } from './tensors/tensor.ts';
import type { Duration } from './timings.ts';

export const serverName = 'edgekeep-guard';
export const platform = 'onnxruntime_onnx';
export const backend = 'onnxruntime';

/** @throws GuardError `model-unknown` */
export function describe(service: InferenceService, route: Route): unknown {
  const { model, version, stopping } = service;
  if ('model' in route) service.assertServed(route);
  switch (route.kind) {
    case 'server-metadata':
      return { name: serverName, version, extensions, not_offered: extensionsNotOffered };
    case 'server-live':
      return { live: true };
    case 'server-ready':
      // The protocol's text says `live` here, its OpenAPI file `ready`.
      return { live: !stopping, ready: !stopping };
    case 'repository-index':
      return [{ name: model.name, version: model.version, state: stopping ? 'UNAVAILABLE' : 'READY', reason: '' }];
    case 'statistics':
    case 'model-statistics':
      return { model_stats: [statistics(service)] };
    case 'model-ready':
      return { name: model.name, ready: !stopping };
    case 'model-configuration':
      return configuration(service);
    case 'model-metadata':
    case 'infer':
      return {
        name: model.name,
        versions: [model.version],
        platform,
        inputs: model.inputs.map(tensorMetadata),
        outputs: model.outputs.map(tensorMetadata),
      };
  }
}

function tensorMetadata({ name, datatype, shape }: TensorInterface) {
  return { name, datatype, shape };
}

/** A batch is a dimension like any other here, so `max_batch_size` is 0 and `dims` are whole. */
function configuration({ model }: InferenceService) {
  const tensor = ({ name, datatype, shape }: TensorInterface) => ({
    name,
    data_type: dataTypeName(datatype),
    dims: shape,
  });
  return {
    name: model.name,
    platform,
    backend,
    max_batch_size: 0,
    input: model.inputs.map(tensor),
    output: model.outputs.map(tensor),
  };
}

/** A configuration has a name of its own for BYTES. */
function dataTypeName(datatype: TensorInterface['datatype']): string {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`;
}

function statistics({ model, timings }: InferenceService) {
  const totals = timings.read();
  const none: Duration = { count: 0, ns: 0 };
  return {
    name: model.name,
    version: model.version,
    last_inference: totals.lastInference,
    inference_count: totals.inferences,
    execution_count: totals.executions,
    inference_stats: {
      success: totals.success,
      fail: totals.fail,
      queue: totals.queue,
      compute_input: totals.input,
      compute_infer: totals.infer,
      compute_output: totals.output,
      cache_hit: none,
      cache_miss: none,
    },
    batch_stats: [],
  };
}
