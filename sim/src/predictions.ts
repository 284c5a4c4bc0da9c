// The answers of the healthy devices: the held-out test images and the hostile ones, through the guard.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { predict } from './images.ts';

export interface Tally {
  readonly images: number;
  /** Correct among the answers that the guard accepted. */
  readonly right: number;
  readonly accepted: number;
  readonly fallback: number;
  readonly review: number;
}

const labelsSchema = z.object({ images: z.record(z.string(), z.string()) });

/** Asks about `maxImages` of the labelled test images. */
export async function tallyTestSet(
  socketPath: string,
  model: string,
  folder: string,
  maxImages: number,
): Promise<Tally> {
  const { images } = parseJson(await readFile(join(folder, 'labels.json')), labelsSchema, 'labels.json');
  const all = Object.entries(images);
  // Spread over the classes, which the list contains one after another.
  const chosen = all.filter((_, at) => at % Math.ceil(all.length / maxImages) === 0);
  const tally = { images: 0, right: 0, accepted: 0, fallback: 0, review: 0 };
  for (const [file, label] of chosen) {
    const answer = await predict(socketPath, model, join(folder, file));
    tally.images += 1;
    if (answer.verdict === 'accepted' || answer.verdict === 'fallback') {
      tally[answer.verdict] += 1;
      if (answer.label === label) tally.right += 1;
    } else tally.review += 1;
  }
  return tally;
}
