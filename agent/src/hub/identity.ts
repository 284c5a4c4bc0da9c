// How the device gets its operational certificate (spec/api.md): enrollment proves the root of trust to a hub that does not know it yet,
// recovery proves it again after a restart, renewal does so ahead of time on a live connection.
import { type CertifyPurpose, certifyQualifyingData, certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { type IdevidProof, idevidProofMessage } from '@edgekeep/core/attest/idevid-proof';
import type { RootOfTrust, RootOfTrustIdentity } from '@edgekeep/hardware/root-of-trust';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { type DeviceIdentity, identityKeys } from '@edgekeep/wire/api/device';
import { certificateResponse, enrollChallengeResponse, type IdevidProofDocument } from '@edgekeep/wire/api/enrollment';
import type { ImaReader, Prover } from '../attest/attest.ts';
import { assertEndorsed } from '../attest/endorsed.ts';
import { type Answer, postToHub, type Send } from '../hub-api.ts';
import type { HubTime } from './hub-time.ts';
import { type Clocks, readClocks } from './lifetime.ts';
import { type Credential, credentialOf, makeOperationalKey, type OperationalKey } from './operational-key.ts';

export interface IdentityDependencies {
  readonly deviceId: string;
  /** The origin of the log that this device follows: its hub, in the evidence for each key. */
  readonly hub: string;
  readonly rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe' | 'activateCredential' | 'idevid' | 'openKey'>;
  readonly prover: Prover;
  readonly clocks: Clocks;
  readonly hubTime: HubTime;
}

/** One connection to the hub. */
export interface HubChannel {
  readonly send: Send;
  /** Its TLS exporter. */
  readonly exporter: Uint8Array;
}

/** A certificate, and the PCRs that this hub wants quoted. */
export interface Identity {
  readonly credential: Credential;
  readonly pcrs: readonly number[];
}

export interface Enrollment {
  readonly token: string | undefined;
  /** The C2SP vkey of this device's witness key. */
  readonly witnessKey: string;
}

/** Both steps of enrollment. */
export async function enroll(
  channel: HubChannel,
  dependencies: IdentityDependencies,
  { token, witnessKey }: Enrollment,
): Promise<Answer<Identity>> {
  const { deviceId, rootOfTrust } = dependencies;
  const { send } = channel;
  const described = await rootOfTrust.describe();
  assertEndorsed(described);
  const identity = identityDocument(described);
  const idevid = await rootOfTrust.idevid?.();
  const shown = idevid === undefined ? {} : { idevid: { chain: idevid.chain.map(toBase64url) } };
  const start = { version: certifyVersion, deviceId, identity, ...shown, ...(token === undefined ? {} : { token }) };
  const challenge = await postToHub(send, '/v1/enroll/challenge', start, enrollChallengeResponse);
  if (challenge.kind === 'refused') return challenge;
  const { nonce, pcrs, credential, agreement } = challenge.value;
  const opened =
    agreement === undefined
      ? undefined
      : await rootOfTrust.openKey({ kind: 'hpke', ...agreement }, { enrolling: deviceId });
  const secret =
    credential === undefined
      ? undefined
      : await rootOfTrust.activateCredential(
          parseBase64url(credential.blob, 'credential'),
          parseBase64url(credential.encryptedSecret, 'credential'),
        );
  const asked = { nonce, pcrs, identity, witnessKey, exporter: channel.exporter };
  const proof = await provenKey(dependencies, 'enroll', asked, { send, known: 'remembered' });
  const subject = {
    use: 'enroll',
    nonce: proof.qualified,
    operationalSpki: proof.key.spki,
    deviceId,
    identity,
  } as const;
  const body = {
    ...(secret === undefined ? {} : { credentialSecret: toBase64url(secret) }),
    ...(opened === undefined ? {} : { agreementSecret: toBase64url(opened) }),
    ...proof.document,
    witnessKey,
    ...(idevid === undefined ? {} : { idevidProof: proofDocument(await idevid.prove(idevidProofMessage(subject))) }),
  };
  return certified(send, '/v1/enroll/complete', dependencies, proof.key, pcrs, body);
}

/** For an enrolled device without a certificate. */
export async function recover(channel: HubChannel, dependencies: IdentityDependencies): Promise<Answer<Identity>> {
  const { deviceId, rootOfTrust } = dependencies;
  const { send, exporter } = channel;
  const challenge = await postToHub(send, '/v1/recover/challenge', { deviceId }, challengeResponse);
  if (challenge.kind === 'refused') return challenge;
  const { nonce, pcrs } = challenge.value;
  const asked = { nonce, pcrs, identity: identityDocument(await rootOfTrust.describe()), exporter };
  const proof = await provenKey(dependencies, 'recover', asked, { send, known: 'remembered' });
  const body = { version: certifyVersion, ...proof.document };
  return certified(send, '/v1/recover/complete', dependencies, proof.key, pcrs, body);
}

/** The next certificate, requested on a bound connection. */
export async function renew(channel: HubChannel, dependencies: IdentityDependencies): Promise<Answer<Identity>> {
  const { send, exporter } = channel;
  const challenge = await postToHub(send, '/v1/challenges', undefined, challengeResponse);
  if (challenge.kind === 'refused') return challenge;
  const { nonce, pcrs } = challenge.value;
  const asked = { nonce, pcrs, identity: identityDocument(await dependencies.rootOfTrust.describe()), exporter };
  const proof = await provenKey(dependencies, 'renew', asked, { send, known: challenge.value.imaLog });
  const body = { version: certifyVersion, ...proof.document };
  return certified(send, '/v1/renew', dependencies, proof.key, pcrs, body);
}

interface ProvenKey {
  readonly key: OperationalKey;
  /** What the evidence covers. */
  readonly qualified: Uint8Array;
  readonly document: { readonly certificateRequest: string; readonly evidence: object };
}

interface Asked {
  readonly nonce: string;
  readonly pcrs: readonly number[];
  readonly identity: DeviceIdentity;
  readonly witnessKey?: string;
  readonly exporter: Uint8Array;
}

async function provenKey(
  { deviceId, hub, prover }: IdentityDependencies,
  purpose: CertifyPurpose,
  { nonce, pcrs, identity, witnessKey, exporter }: Asked,
  reader: ImaReader,
): Promise<ProvenKey> {
  const key = await makeOperationalKey(deviceId);
  const subject = { hub, deviceId, keys: identityKeys(identity), witnessKey, operationalSpki: key.spki, exporter };
  const qualified = certifyQualifyingData(purpose, parseBase64url(nonce, 'nonce'), subject);
  const evidence = await prover.evidenceOver(qualified, pcrs, reader);
  return {
    key,
    qualified,
    document: {
      certificateRequest: toBase64url(key.certificateRequest),
      evidence: evidenceDocument(evidence),
    },
  };
}

async function certified(
  send: Send,
  path: string,
  { deviceId, prover, clocks, hubTime }: IdentityDependencies,
  key: OperationalKey,
  pcrs: readonly number[],
  body: object,
): Promise<Answer<Identity>> {
  const answer = await postToHub(send, path, body, certificateResponse);
  if (answer.kind === 'refused') {
    prover.refused(answer.code);
    return answer;
  }
  const received = { at: readClocks(clocks), hubMs: hubTime.nowMs() };
  return {
    kind: 'ok',
    value: { credential: credentialOf(key, deviceId, answer.value.certificateChain, received), pcrs },
  };
}

function proofDocument({ signature, residency }: IdevidProof): IdevidProofDocument {
  if (residency === undefined) return { signature: toBase64url(signature) };
  const { publicArea, attest, signature: certified } = residency;
  return {
    signature: toBase64url(signature),
    residency: {
      publicArea: toBase64url(publicArea),
      attest: toBase64url(attest),
      signature: toBase64url(certified),
    },
  };
}

/** As the hub reads it. */
export function identityDocument(identity: RootOfTrustIdentity): DeviceIdentity {
  if (identity.tier === 'dice') {
    return { kind: 'dice', deviceIdCertificates: identity.deviceIdCertificates.map(toBase64url) };
  }
  if (identity.tier !== 'tpm') {
    const { tier: kind, signingPublic, encryptionPublic } = identity;
    return { kind, signingKey: toBase64url(signingPublic), encryptionKey: toBase64url(encryptionPublic) };
  }
  const { endorsementKey, endorsementChain, attestationPublic } = identity;
  const { certificate } = endorsementKey;
  return {
    kind: 'tpm',
    endorsementKey: toBase64url(endorsementKey.publicArea),
    endorsementKeyKind: endorsementKey.kind,
    endorsementCertificates: [...(certificate === undefined ? [] : [certificate]), ...endorsementChain].map(
      toBase64url,
    ),
    attestationKey: toBase64url(attestationPublic),
  };
}
