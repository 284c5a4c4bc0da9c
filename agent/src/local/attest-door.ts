// The attestation door (spec/agent.md section 4): `GET /attest` for anybody who reaches a port of this device, by TLS, where the operator
// opens it. Strangers ask here, so a quote costs them a turn, and the agent's own work with its TPM goes first.
import type { ServerResponse } from 'node:http';
import { resultNonce } from '@edgekeep/core/attest/result-nonce';
import { groupAndOthers, readPrivateFile, writableByOthers } from '@edgekeep/host/private-file';
import { AgentError } from '../error.ts';
import type { AgentSettings } from '../settings.ts';
import {
  EvidenceMaker,
  type LocalEvidence,
  type LocalEvidenceDependencies,
  nonceExpected,
  nonceOf,
} from './local-evidence.ts';
import { type Answerer, type LocalAddress, sendError, sendJson } from './local-server.ts';

export interface AttestDoorDependencies extends LocalEvidenceDependencies {
  /** Somebody asked without a nonce: at the next check-in the hub should appraise this device again, if its result is old. */
  readonly wantResult: () => void;
  /** Milliseconds of elapsed time. */
  readonly elapsed: () => number;
}

/** A TPM signs in a tenth of a second, and this many callers at once may keep it busy for that long. */
const QUOTES_WAITING_MAX = 2;
/** Over a caller's own nonce, for all callers together. */
const quotesPerSecond = 1;
const QUOTES_AT_ONCE_MAX = 5;
/** Callers without a nonce get the same evidence for this long. */
const keptMs = 10_000;
const PEM_BYTES_MAX = 256 * 1024;

export function attestDoor(dependencies: AttestDoorDependencies): Answerer {
  const { attestationResult, wantResult, elapsed } = dependencies;
  const maker = new EvidenceMaker(dependencies, QUOTES_WAITING_MAX);
  const takeTurn = turns(elapsed);
  let kept:
    | { readonly token: string; readonly until: number; readonly answer: Promise<LocalEvidence | undefined> }
    | undefined;

  return async ({ segments: [what, ...more], query }, response) => {
    if (what !== 'attest' || more.length > 0)
      return sendError(response, 404, 'not-found', 'there is only /attest at this address');
    if (!query.has('nonce')) return sendOverResult(response);
    const nonce = nonceOf(query);
    if (nonce === undefined) return sendError(response, 400, 'nonce-invalid', nonceExpected);
    if (!takeTurn()) return busy(response);
    await send(response, await maker.over(nonce));
  };

  async function sendOverResult(response: ServerResponse): Promise<void> {
    wantResult();
    const token = attestationResult();
    if (token === undefined) {
      const why = 'the hub has not attested this device since it started: ask with ?nonce=, or later';
      return sendError(response, 503, 'result-missing', why);
    }
    if (kept === undefined || kept.token !== token || elapsed() >= kept.until) {
      const own = { token, until: elapsed() + keptMs, answer: maker.over(resultNonce(token), token) };
      kept = own;
      // What failed is not kept.
      own.answer.then(
        (answer) => answer === undefined && kept === own && (kept = undefined),
        () => kept === own && (kept = undefined),
      );
    }
    await send(response, await kept.answer);
  }

  async function send(response: ServerResponse, answer: LocalEvidence | undefined): Promise<void> {
    if (answer === undefined) return busy(response);
    // The walls of guards are nothing for strangers.
    sendJson(response, { ...answer, missingGuardWalls: null });
  }
}

function busy(response: ServerResponse): void {
  response.setHeader('retry-after', '1');
  sendError(
    response,
    429,
    'rate-limited',
    'too many callers ask for evidence: try again in a second, or without a nonce',
  );
}

/** A bucket of turns. */
function turns(elapsed: () => number): () => boolean {
  let left = QUOTES_AT_ONCE_MAX;
  let at = elapsed();
  return () => {
    const now = elapsed();
    left = Math.min(QUOTES_AT_ONCE_MAX, left + ((now - at) / 1_000) * quotesPerSecond);
    at = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

/** Where the door is. Throws `settings-invalid` for a certificate or key that cannot be read. */
export async function attestDoorAddress(
  { host, port, certificateFile, keyFile }: NonNullable<AgentSettings['attestDoor']>,
  resolve: (path: string) => string,
): Promise<LocalAddress> {
  const refused = (file: string) => (problem: string, options?: ErrorOptions) =>
    new AgentError('settings-invalid', `attestDoor: ${file}: ${problem}`, options);
  const rules = { maxBytes: PEM_BYTES_MAX, followsLinks: true };
  const read = async (path: string, forbidden: number) => {
    const file = resolve(path);
    const bytes = await readPrivateFile(file, { ...rules, forbidden }, refused(file));
    if (bytes === undefined) throw refused(file)('there is no such file');
    return bytes;
  };
  const cert = await read(certificateFile, writableByOthers);
  return { kind: 'network', host, port, tls: { cert, key: await read(keyFile, groupAndOthers) } };
}
