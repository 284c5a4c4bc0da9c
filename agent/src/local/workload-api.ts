// What a program asks the agent on the socket of its workload (spec/workload.md, "On the device"). Any program that may open the socket
// acts as the workload.
import type { ServerResponse } from 'node:http';
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { AgentError } from '../error.ts';
import { refusalText } from '../hub-api.ts';
import { type Answerer, sendError, sendJson } from './local-server.ts';
import type { Workloads } from './workload.ts';

/** `GET /certificate`, `GET /certificate?request=BASE64URL`, `GET /bundle`, for one workload. */
export function workloadApi(workloads: Workloads, name: string): Answerer {
  return async ({ segments: [what, ...more], query }, response) => {
    const requests = query.getAll('request');
    if (more.length > 0 || requests.length > 1) return notFound(response);
    const [request] = requests;
    if (what === 'certificate' && request !== undefined) return sendForRequest(request, response);
    if (what !== 'certificate' && what !== 'bundle') return notFound(response);
    const credential = workloads.credential(name);
    if (credential === undefined) return sendError(response, 503, 'workload-unavailable', workloads.why(name));
    if (what === 'bundle') return sendPem(response, credential.trustBundle);
    const { notAfterMs: notAfter, ...rest } = credential;
    sendJson(response, { ...rest, notAfter });
  };

  async function sendForRequest(request: string, response: ServerResponse): Promise<void> {
    try {
      const answer = await workloads.certify(name, parseBase64url(request, 'request'));
      if (answer.kind === 'refused') return sendError(response, 503, 'workload-unavailable', refusalText(answer));
      const { notAfterMs: notAfter, ...rest } = answer.value;
      sendJson(response, { ...rest, notAfter });
    } catch (error) {
      if (error instanceof CoreError) return sendError(response, 400, 'request-invalid', error.message);
      if (error instanceof AgentError) return sendError(response, 503, 'workload-unavailable', error.message);
      throw error;
    }
  }
}

function sendPem(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/x-pem-file', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function notFound(response: ServerResponse): void {
  sendError(response, 404, 'not-found', 'there is nothing at this path: see spec/workload.md');
}
