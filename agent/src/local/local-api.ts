// The local API (spec/agent.md section 4): status, receipts and local attestation for programs with access to the status socket; opened
// models, on a socket for the owner only, for `edgekeep model run`.
import { modelNamePattern } from '@edgekeep/core/model/manifest';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { HeldModel } from '../model/held-model.ts';
import type { AgentStatus } from '../status.ts';
import { metricsText, metricsType } from './metrics.ts';
import { EvidenceMaker, type LocalEvidenceDependencies, nonceExpected, nonceOf } from './local-evidence.ts';
import { type Answerer, sendError, sendJson } from './local-server.ts';
import type { OpenedFile } from '../model/opened-model.ts';
import { readIfThere } from '../state-folder.ts';

export interface StatusApiDependencies extends LocalEvidenceDependencies {
  readonly status: () => AgentStatus;
  /** Walls around guards that this machine cannot provide; undefined before it was tried, and where no guard is run. */
  readonly missingWalls: () => readonly string[] | undefined;
  readonly receiptsFolder: string;
  /** What operators want of this device. */
  readonly desired: () => object;
}

/** Quotes that wait for the TPM; a local program that asks for more delays only itself. */
const QUOTES_WAITING_MAX = 4;
const streamChunkBytes = 1024 * 1024;

/** `GET /attest?nonce=HEX`, `GET /status`, `GET /metrics`, `GET /desired`, `GET /receipts/NAME`. */
export function statusApi(dependencies: StatusApiDependencies): Answerer {
  const maker = new EvidenceMaker(dependencies, QUOTES_WAITING_MAX);

  return async ({ segments: [what, name, ...more], query }, response) => {
    if (more.length > 0) return notFound(response);
    if (what === 'status' && name === undefined) return sendJson(response, dependencies.status());
    if (what === 'metrics' && name === undefined) return sendMetrics(response);
    if (what === 'desired' && name === undefined) return sendJson(response, dependencies.desired());
    if (what === 'receipts' && name !== undefined && modelNamePattern.test(name)) return sendReceipt(name, response);
    if (what === 'attest' && name === undefined) return sendEvidence(query, response);
    notFound(response);
  };

  async function sendEvidence(query: URLSearchParams, response: ServerResponse): Promise<void> {
    const nonce = nonceOf(query);
    if (nonce === undefined) return sendError(response, 400, 'nonce-invalid', nonceExpected);
    const answer = await maker.over(nonce);
    if (answer === undefined) return sendError(response, 429, 'rate-limited', 'too many quotes are waiting');
    sendJson(response, { ...answer, missingGuardWalls: dependencies.missingWalls() ?? null });
  }

  function sendMetrics(response: ServerResponse): void {
    const text = Buffer.from(metricsText(dependencies.status(), dependencies.missingWalls()));
    response.writeHead(200, {
      'content-type': metricsType,
      'content-length': text.length,
      'cache-control': 'no-store',
    });
    response.end(text);
  }

  async function sendReceipt(name: string, response: ServerResponse): Promise<void> {
    const receipt = await readIfThere(join(dependencies.receiptsFolder, `${name}.json`));
    if (receipt === undefined) return sendError(response, 404, 'not-found', `no key of ${name} was released yet`);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': receipt.length });
    response.end(receipt);
  }
}

export interface AdminApiDependencies {
  /** What is held of a model now. */
  readonly held: (name: string) => HeldModel | undefined;
}

/**
 * `GET /models/NAME` lists the opened files; `GET /models/NAME/files/PATH` returns the plaintext of one. The connection stays open after
 * the last byte. When the model must be locked, the connection is destroyed, so that the process running a program on the plaintext can
 * stop it.
 */
export function adminApi({ held }: AdminApiDependencies): Answerer {
  return async ({ segments: [what, name = '', files, ...path] }, response) => {
    if (what !== 'models' || name === '') return notFound(response);
    const model = held(name);
    if (model === undefined) return sendError(response, 503, 'model-unavailable', `no key of ${name} is available now`);
    if (model.opened === undefined) {
      return sendError(
        response,
        409,
        'model-guarded',
        `${name} is served by the guard: set its \`use\` to \`program\` in agent.json`,
      );
    }
    if (files === undefined) return sendFileList(model, model.opened.files, response);
    const found = files === 'files' ? model.opened.files.find(({ file }) => file.path === path.join('/')) : undefined;
    if (found === undefined) return notFound(response);
    await sendPlaintext(model, found, response);
  };
}

function sendFileList({ model }: HeldModel, files: readonly OpenedFile[], response: ServerResponse): void {
  sendJson(response, {
    name: model.name,
    version: model.version,
    files: files.map(({ file: { path, role, mediaType, size, sha256 } }) => ({ path, role, mediaType, size, sha256 })),
  });
}

async function sendPlaintext(held: HeldModel, { file, memory }: OpenedFile, response: ServerResponse): Promise<void> {
  const { socket } = response;
  if (socket === null || held.over.aborted) return response.destroy() && undefined;
  const cut = () => socket.destroy();
  held.over.addEventListener('abort', cut);
  socket.once('close', () => held.over.removeEventListener('abort', cut));
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.size });
  for (let offset = 0; offset < file.size && !held.over.aborted;) {
    const chunk = await memory.read(offset, Math.min(streamChunkBytes, file.size - offset));
    if (chunk.length === 0) return void response.destroy();
    offset += chunk.length;
    const sent = await write(response, chunk);
    chunk.fill(0);
    if (!sent) return;
  }
  response.end();
}

/** Resolves when the kernel has the bytes; false when the reader is gone. */
function write(response: ServerResponse, chunk: Uint8Array): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const gone = () => resolve(false);
  response.once('close', gone);
  response.write(chunk, (error) => resolve(error === null || error === undefined));
  return promise.finally(() => response.off('close', gone));
}

function notFound(response: ServerResponse): void {
  sendError(response, 404, 'not-found', 'there is nothing at this path: see spec/agent.md');
}
