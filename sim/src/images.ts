// The example's test images, as an application on the device would send them: PNG to numbers, numbers to an Open Inference request.
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { json } from 'node:stream/consumers';
import { parseValue } from '@edgekeep/core/json';
import { z } from 'zod';

interface Image {
  readonly width: number;
  readonly height: number;
  /** RGBA, 4 bytes a pixel. */
  readonly data: Uint8Array;
}

// pngjs brings no types; this is the part used here.
const { PNG }: { PNG: { sync: { read(png: Uint8Array): Image } } } = createRequire(import.meta.url)('pngjs');

const answerSchema = z.looseObject({
  parameters: z.looseObject({
    verdict: z.string(),
    confidence: z.number().optional(),
    label: z.string().optional(),
    reasons: z.string().optional(),
    model_used: z.string().optional(),
  }),
});
export type Answer = z.infer<typeof answerSchema>['parameters'];

/** Asks the model on a Unix socket about one grey image. */
export async function predict(socketPath: string, model: string, pngFile: string): Promise<Answer> {
  const image = PNG.sync.read(await readFile(pngFile));
  const data = Array.from({ length: image.width * image.height }, (_, at) => (image.data[at * 4] ?? 0) / 255);
  const input = { name: 'image', shape: [1, 1, image.height, image.width], datatype: 'FP32', data };
  const body = await post(socketPath, `/v2/models/${model}/infer`, JSON.stringify({ inputs: [input] }));
  return parseValue(body, answerSchema, 'the model’s answer').parameters;
}

async function post(socketPath: string, path: string, body: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, path, method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        json(response).then(
          (value) =>
            response.statusCode === 200
              ? resolve(value)
              : reject(new Error(`${response.statusCode}: ${JSON.stringify(value)}`)),
          reject,
        );
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
