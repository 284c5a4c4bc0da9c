// An inference response: outputs and the guard's verdict as Open Inference Protocol JSON, followed by binary tensors where the request
// asked for them. Follows spec/inference.md section 4.
import type { Assessment, Inference } from './model/guarded-model.ts';
import type { InferenceRequest } from './inference-request.ts';
import { tensorBytes } from './tensors/tensor-bytes.ts';
import { tensorToJson } from './tensors/tensor-json.ts';
import { worstVerdict } from './model/verdict.ts';

/** `headerLength` is set when binary data follows the JSON. */
export interface EncodedResponse {
  readonly body: Uint8Array;
  readonly headerLength: number | undefined;
}

type Parameters = Readonly<Record<string, string | number | boolean>>;

/** @throws GuardError `output-not-representable` when an output has no JSON form and was not requested as binary */
export function encodeInferenceResponse(
  model: { readonly name: string; readonly version: string },
  request: InferenceRequest,
  inference: Inference,
): EncodedResponse {
  const binary: Uint8Array[] = [];
  const outputs = inference.outputs.map((output) => {
    const { name, shape, datatype } = output;
    const asked = request.outputs.find((candidate) => candidate.name === name);
    if (asked?.binary !== true) return { name, shape, datatype, data: tensorToJson(output) };
    const bytes = tensorBytes(output);
    binary.push(bytes);
    return { name, shape, datatype, parameters: { binary_data_size: bytes.length } };
  });
  const json = Buffer.from(
    JSON.stringify({
      model_name: model.name,
      model_version: model.version,
      ...(request.id === undefined ? {} : { id: request.id }),
      parameters: judgementParameters(inference.assessments),
      outputs,
    }),
  );
  return binary.length === 0
    ? { body: json, headerLength: undefined }
    : { body: Buffer.concat([json, ...binary]), headerLength: json.length };
}

/** Parameters of the protocol are only texts, numbers and truth values, so lists are joined and a batch's details are JSON text. */
export function judgementParameters(assessments: readonly Assessment[] | undefined): Parameters {
  if (assessments === undefined) return { verdict: 'unguarded' };
  const images = assessments.map(imageParameters);
  const [only, ...more] = images;
  if (only !== undefined && more.length === 0) return only;
  const judgements = assessments.map((assessment) => assessment.judgement);
  return {
    verdict: worstVerdict(judgements),
    confidence: Math.min(...judgements.map((judgement) => judgement.grade.confidence)),
    reasons: [...new Set(judgements.flatMap((judgement) => judgement.reasons))].join(','),
    images: JSON.stringify(images),
  };
}

function imageParameters({ judgement, statistics, label }: Assessment): Parameters {
  return {
    verdict: judgement.verdict,
    confidence: judgement.grade.confidence,
    reasons: judgement.reasons.join(','),
    class: judgement.grade.class,
    ...(label === undefined ? {} : { label }),
    model_used: judgement.modelUsed,
    brightness: statistics.brightness,
    contrast: statistics.contrast,
    noise: statistics.noise,
  };
}
