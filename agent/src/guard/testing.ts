// For tests: the guard's small fixture models as opened memory files, a started guard, and requests to it.
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { MemoryFile } from '@edgekeep/host/memory-file';
import { onnxMediaType } from '@edgekeep/core/model/guard-files';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import { GuardProcess, type GuardOptions, type OpenedFile } from './process.ts';

export const settings: GuardSettings = {
  input: { name: 'image', layout: 'NCHW', valueRange: { leastMillionths: 0, mostMillionths: 1_000_000 } },
  output: { name: 'scores', scores: 'logits' },
  labels: ['dark', 'bright'],
  statistics: {
    brightness: { leastMillionths: 200_000, mostMillionths: 800_000 },
    contrast: { leastMillionths: 0, mostMillionths: 100_000 },
    noise: { leastMillionths: 0, mostMillionths: 50_000 },
  },
};

export interface Opened {
  readonly files: readonly OpenedFile[];
  readonly memory: readonly MemoryFile[];
}

/** The named fixture models (guard/src/fixtures) in memory files; `external` comes with its data file. */
export async function openFixtures(primary: string, fallback?: string): Promise<Opened> {
  const wanted = [
    { path: `models/${primary}.onnx`, file: `${primary}.onnx`, role: 'primary' as const },
    ...(fallback === undefined
      ? []
      : [{ path: 'models/second.onnx', file: `${fallback}.onnx`, role: 'fallback' as const }]),
    ...(primary === 'external' ? [{ path: 'models/external.bin', file: 'external.bin', role: 'data' as const }] : []),
  ];
  const memory: MemoryFile[] = [];
  const files: OpenedFile[] = [];
  for (const { path, file, role } of wanted) {
    const bytes = await readFile(new URL(`../../../guard/src/fixtures/${file}`, import.meta.url));
    const opened = await openBytes(bytes);
    memory.push(opened);
    files.push({ path, role, mediaType: onnxMediaType, size: bytes.length, descriptor: opened.descriptor });
  }
  return { files, memory };
}

export async function openBytes(bytes: Uint8Array): Promise<MemoryFile> {
  const file = await MemoryFile.create();
  await file.write(bytes, 0);
  return file;
}

/** As an agent does it: the memory files are wiped and closed once the guard has read them. */
export async function startGuard(
  opened: Opened,
  options: Omit<GuardOptions, 'files' | 'model'>,
): Promise<GuardProcess> {
  try {
    return await GuardProcess.start({ ...options, model: { name: 'light', version: '1.0.0' }, files: opened.files });
  } finally {
    for (const file of opened.memory) await file[Symbol.asyncDispose]();
  }
}

export function imageRequest(brightness: number): string {
  const data = Array.from({ length: 64 }, () => brightness);
  return JSON.stringify({ inputs: [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data }] });
}

/** One HTTP request on a connection of its own. */
export async function ask(
  where: { readonly socketPath: string } | { readonly host: string; readonly port: number },
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  const answer = Promise.withResolvers<{ status: number; text: string }>();
  const sent = request({ ...where, path, method: body === undefined ? 'GET' : 'POST', agent: false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => (text += part));
    response.on('end', () => answer.resolve({ status: response.statusCode ?? 0, text }));
    response.on('error', answer.reject);
  });
  sent.on('error', answer.reject);
  sent.end(body);
  return answer.promise;
}
