// The way to a public witness: one HTTPS request with a limit on time and on the answer. The other end is a stranger's server.
import { request } from 'node:https';
import type { WitnessAnswer, WitnessRequest } from '../../jobs/public-witnesses.ts';

const ANSWER_BYTES_MAX = 16_384;
const TIMEOUT_MS = 10_000;

/** Rejects where no answer comes. Redirects are answers like others. */
export async function postToWitness({ url, body, trustedPem, signal }: WitnessRequest): Promise<WitnessAnswer> {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const trust = trustedPem === null ? {} : { ca: trustedPem };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const outgoing = request(url, { method: 'POST', headers, signal: limit, ...trust }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_BYTES_MAX)
          response.destroy(new RangeError(`an answer of more than ${ANSWER_BYTES_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, contentType: answered['content-type'] ?? '', body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    // An answer that offers another protocol (status 101) is no response and no error to node:http: it only ends the connection.
    outgoing.once('close', () => reject(new Error('it closed the connection without an answer')));
    outgoing.end(body);
  });
}
