// Clients that work on a hub while it fails, and record their requests and the answers: a device that asks for keys, an operator who cuts it off
// and lets it back, an operator who revokes it, and a device that follows the log.
import { setTimeout } from 'node:timers/promises';
import { sha256Hex } from '@edgekeep/core/digest';
import { parseBase64url } from '@edgekeep/core/bytes';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { bindResponse, challengeResponse } from '@edgekeep/wire/api/attest';
import { deviceDetail, stateResponse } from '@edgekeep/wire/api/device-view';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import { revocationResponse } from '@edgekeep/wire/api/revocation';
import { accepted, type Answer as HttpAnswer } from '../answer.ts';
import { DeviceLink } from '../device-link.ts';
import type { Answer, History } from '../history/history.ts';
import type { HubProcess } from '../hub-process.ts';
import type { Steps } from '../steps.ts';
import type { TestDevice } from '../test-device.ts';
import { TestWitness } from '../witness.ts';
import type { Nodes } from './nodes.ts';

export interface Work {
  readonly nodes: Nodes;
  readonly history: History;
  /** Answers that clients got, and keys among them. */
  readonly answers: Steps;
  readonly keys: Steps;
  /** What no history explains: a log that contradicts itself. */
  readonly problems: string[];
  readonly over: AbortSignal;
}

/** As an agent, a client does not ask a hub that fails as fast as it can. */
const PAUSE_MS = 20;
const cutOffCodes = ['device-quarantined', 'certificate-revoked'];

/** Asks for one key after another, over one connection as long as it lasts. */
export async function askForKeys(work: Work, device: TestDevice): Promise<void> {
  await overLinks(work, device, async (link) => {
    const answer = await work.history.record({ client: device.id, asked: 'key', device: device.id }, () =>
      askOnce(device, link),
    );
    if (answer?.kind === 'key') work.keys.take();
    return answer !== undefined && answer.kind !== 'refused';
  });
}

async function askOnce(device: TestDevice, link: DeviceLink): Promise<Answer | 'lost' | 'nothing'> {
  const challenged = await answered(() => link.ask('POST', '/v1/challenges'));
  if (challenged === undefined) return 'nothing';
  if (challenged.status !== 200) return isCutOff(challenged) ? { kind: 'refused' } : 'nothing';
  const nonce = parseBase64url(accepted(challenged, challengeResponse).nonce, 'nonce');
  const proof = await device.releaseProof(nonce, link.exporter);
  const ask = { model: 'surface', version: '1.0.0', ...proof };
  const answer = await answered(() => link.send('POST', '/v1/releases', JSON.stringify(ask)));
  if (answer === undefined) return 'lost';
  if (answer.status === 200) return { kind: 'key', lease: accepted(answer, releaseResponse).lease.id };
  if (isCutOff(answer)) return { kind: 'refused' };
  return notDone(answer) ? 'nothing' : 'lost';
}

/** Cuts a device off and lets it back, with tokens in between. */
export async function moveStates(work: Work, { id }: TestDevice): Promise<void> {
  const client = `operator of ${id}`;
  await withOperators(work, async ({ operator }) => {
    const state = await work.history.record({ client, asked: 'look', device: id }, async () => {
      const view = await answered(() => operator.get(`/v1/devices/${id}`, deviceDetail));
      if (view === undefined) return 'lost';
      return view.state === 'active' || view.state === 'quarantined' ? { kind: 'state', state: view.state } : 'nothing';
    });
    if (state?.kind !== 'state') return state !== undefined;
    const [asked, verb] =
      state.state === 'active' ? (['quarantine', 'quarantine'] as const) : (['reinstate', 'release'] as const);
    const done = await work.history.record({ client, asked, device: id }, async (reason) => {
      const answer = await answered(() =>
        operator.send('POST', `/v1/devices/${id}/${verb}`, { reason }, stateResponse),
      );
      return answer === undefined ? 'lost' : { kind: 'done' };
    });
    if (done === undefined) return false;
    work.answers.take();
    // It is active for longer than it is cut off, so that it gets some keys.
    return makeTokens(work, client, operator, asked === 'reinstate' ? 6 : 1);
  });
}

async function makeTokens(
  { history, answers }: Work,
  client: string,
  operator: HubProcess['operator'],
  count: number,
): Promise<boolean> {
  for (let made = 0; made < count; made += 1) {
    const token = await history.record({ client, asked: 'token', device: '' }, async () => {
      const answer = await answered(() => operator.send('POST', '/v1/enrollment-tokens', {}, enrollmentTokenResponse));
      return answer === undefined ? 'lost' : { kind: 'token', token: sha256Hex(answer.token).slice(0, 16) };
    });
    if (token === undefined) return false;
    answers.take();
  }
  return true;
}

/** Revokes a device once. */
export async function revokeDevice(work: Work, { id }: TestDevice): Promise<void> {
  const once = new AbortController();
  const over = AbortSignal.any([work.over, once.signal]);
  await withOperators({ ...work, over }, async ({ operator }) => {
    const client = `operator of ${id}`;
    const done = await work.history.record({ client, asked: 'revoke', device: id }, async (note) => {
      const order = { devices: [id], reason: 'keyCompromise', note };
      const answer = await answered(() => operator.send('POST', '/v1/certificates/revoke', order, revocationResponse));
      return answer === undefined ? 'lost' : { kind: 'done' };
    });
    if (done !== undefined) once.abort();
    return done !== undefined;
  });
}

/** Follows the log from node to node, as a witness: it never sees less than before, and never another history. */
export async function followLog(work: Work, device: TestDevice, logKey: VerifierKey): Promise<void> {
  const witness = new TestWitness(logKey, device.witness);
  await overLinks(work, device, async (link) => {
    let isAnswered = false;
    await work.history.see(device.id, async () => {
      const oldSize = witness.size;
      const answer = await answered(() => link.ask('GET', `/v1/checkpoint?from=${oldSize}`));
      if (answer?.status !== 200) return undefined;
      const verdict = witness.take(oldSize, answer);
      isAnswered = true;
      if (verdict.kind === 'consistent') return { size: witness.size, root: witness.root, origin: logKey.name };
      work.problems.push(`${device.id} saw ${oldSize} entries, and then ${JSON.stringify(verdict)}`);
      return undefined;
    });
    await setTimeout(PAUSE_MS);
    return isAnswered;
  });
}

/** Repeats a step on a connection that is bound; on another one where it says that this one is of no use any more. */
async function overLinks(work: Work, device: TestDevice, step: (link: DeviceLink) => Promise<boolean>): Promise<void> {
  for (;;) {
    const hub = await work.nodes.any(work.over);
    if (hub === undefined) return;
    const link = await answered(() => DeviceLink.open(hub, device.credential));
    if (link === undefined) {
      await setTimeout(PAUSE_MS);
      continue;
    }
    await using _ = link;
    if (await isBound(work, device, link)) while (!work.over.aborted && (await step(link))) work.answers.take();
    await setTimeout(PAUSE_MS);
  }
}

async function isBound({ history }: Work, device: TestDevice, link: DeviceLink): Promise<boolean> {
  let isDone = false;
  await history.record({ client: device.id, asked: 'look', device: device.id }, async () => {
    const answer = await answered(() => device.bind(link));
    if (answer?.status === 200) {
      accepted(answer, bindResponse);
      isDone = true;
    }
    return answer !== undefined && isCutOff(answer) ? { kind: 'state', state: 'quarantined' } : 'nothing';
  });
  return isDone;
}

async function withOperators(work: Work, step: (hub: HubProcess) => Promise<boolean>): Promise<void> {
  for (;;) {
    const hub = await work.nodes.any(work.over);
    if (hub === undefined) return;
    if (!(await step(hub))) await setTimeout(PAUSE_MS);
  }
}

/** Undefined where the hub or the connection failed: nobody knows then what was done. */
async function answered<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    if (code !== undefined && lossCodes.has(code)) return undefined;
    throw error;
  }
}

/** Of a connection that ended, and of a hub whose store or disk failed. */
const lossCodes = new Set([
  'unreachable',
  'connection-lost',
  'closed',
  'tls-refused',
  'timeout',
  'store-failed',
  'store-busy',
  'outcome-unknown',
  'hub-stopping',
  'internal',
]);

function codeOf({ body }: HttpAnswer): string {
  const parsed = errorResponse.safeParse(JSON.parse(Buffer.from(body).toString('utf8')));
  return parsed.success ? parsed.data.error.code : '';
}

const isCutOff = (answer: HttpAnswer) => answer.status === 403 && cutOffCodes.includes(codeOf(answer));

/** A refusal before anything is done: of a device that the hub does not know to be bound any more, or asked too fast. */
const notDone = (answer: HttpAnswer) => answer.status >= 400 && answer.status < 500;
