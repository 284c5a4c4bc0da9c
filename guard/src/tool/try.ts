// One inference as an application on a device would get it: a picture, an array, or an inference request as JSON.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '@edgekeep/core/json';
import type { GuardToolOrder, GuardToolReport } from '@edgekeep/core/model/guard-tool';
import type { GuardedModel } from '../model/guarded-model.ts';
import { parseInferenceRequest, type InferenceRequest } from '../inference-request.ts';
import { encodeInferenceResponse } from '../inference-response.ts';
import { imageInput } from './calibrate.ts';
import { guarded, openSessions } from './open-model.ts';
import { readImage } from './picture.ts';

const million = 1e6;

export async function tryModel(order: Extract<GuardToolOrder, { kind: 'try' }>): Promise<GuardToolReport> {
  await using sessions = await openSessions(order.files);
  const model = guarded(sessions, order.settings);
  const request = requestOf(order, model);
  const { body } = encodeInferenceResponse(model, request, await model.infer(request));
  return { kind: 'tried', answer: parseJson(body, z.looseObject({}), 'the answer') };
}

function requestOf({ input, values, settings }: Parameters<typeof tryModel>[0], model: GuardedModel): InferenceRequest {
  if (input.toLowerCase().endsWith('.json')) return parseInferenceRequest(readFileSync(input), undefined, model);
  const range = settings?.input.valueRange;
  const named = range && { black: range.leastMillionths / million, white: range.mostMillionths / million };
  const image = imageInput(model, {
    input: settings?.input.name,
    layout: settings?.input.layout,
    values: values ?? named,
  });
  const outputs = model.outputs.map(({ name }) => ({ name, binary: false }));
  return { id: undefined, inputs: [readImage(input, image)], outputs };
}
