// Names this device's hybrid key to its hub (spec/enrollment.md, "The hybrid key"): after an enrollment, and whenever the hub does not have the key
// that is here, for example after it was restored from a backup. A hub of the version before says nothing about such keys, and is not asked.
import { hybridKeyQualifyingData } from '@edgekeep/core/attest/hybrid-key-subject';
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { identityKeys } from '@edgekeep/wire/api/device';
import { hybridKeyChallengeResponse, hybridKeyResponse } from '@edgekeep/wire/api/hybrid-key';
import type { Prover } from '../attest/attest.ts';
import { AgentError } from '../error.ts';
import { type Emit, failureEvent } from '../event.ts';
import { type Answer, postToHub } from '../hub-api.ts';
import type { Challenge, HubLink } from './connection.ts';
import { type HybridKey, isKnown } from './hybrid-key.ts';
import { identityDocument } from './identity.ts';

export interface HybridRegistration {
  readonly deviceId: string;
  /** The origin of the log that this device follows. */
  readonly hub: string;
  readonly key: HybridKey;
  readonly rootOfTrust: Pick<RootOfTrust, 'describe'>;
  readonly prover: Pick<Prover, 'evidenceOver'>;
  readonly emit: Emit;
}

type Link = Pick<HubLink, 'hybridKey' | 'noteHybridKey' | 'withChallenge'>;

/** Costs nothing when the hub has the key. A failure is reported, and the next check-in tries again. */
export async function registerHybridKey(link: Link, registration: HybridRegistration): Promise<void> {
  try {
    await settle(link, registration);
  } catch (error) {
    registration.emit(failureEvent('hybrid-key', error));
  }
}

async function settle(link: Link, registration: HybridRegistration): Promise<void> {
  const { key, emit } = registration;
  const known = link.hybridKey;
  if (known === undefined) return;
  if (isKnown(key, known)) return key.noteRegistered();
  const answer = await link.withChallenge((challenge) => register(challenge, registration));
  if (answer.kind === 'refused') {
    // The next check-in names the new one.
    if (answer.reasons.some(({ code }) => code === 'hybrid-key-taken')) await key.replace();
    const { code, message, reasons } = answer;
    return emit({ kind: 'refused', step: 'hybrid-key', code, message, reasons });
  }
  await key.noteRegistered();
  link.noteHybridKey(key.sha256);
  emit({ kind: 'hybrid-key-registered', sha256: key.sha256 });
}

async function register(
  { nonce, pcrs, exporter, send, known }: Challenge,
  { deviceId, hub, key, rootOfTrust, prover }: HybridRegistration,
): Promise<Answer<unknown>> {
  const { publicKey } = key;
  const asked = { key: toBase64url(publicKey) };
  const challenge = await postToHub(send, '/v1/hybrid-key/challenge', asked, hybridKeyChallengeResponse);
  if (challenge.kind === 'refused') return challenge;
  const secret = await key.openProof(deviceId, challenge.value).catch((cause: unknown) => {
    if (!(cause instanceof CoreError)) throw cause;
    throw new AgentError('hub-answer-invalid', 'the secret for the hybrid key does not open', { cause });
  });
  const keys = identityKeys(identityDocument(await rootOfTrust.describe()));
  const qualified = hybridKeyQualifyingData(nonce, { hub, deviceId, keys, hybridKey: publicKey, exporter });
  const evidence = await prover.evidenceOver(qualified, pcrs, { send, known });
  const body = { secret: toBase64url(secret), evidence: evidenceDocument(evidence) };
  return postToHub(send, '/v1/hybrid-key', body, hybridKeyResponse);
}
