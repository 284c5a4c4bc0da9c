// A small device: a root of trust, a boot, and the device API step by step, so that a test can do any of the steps wrongly.
import { generateKeyPairSync } from 'node:crypto';
import { type Evidence, evidenceDocument } from '@edgekeep/core/attest/evidence';
import type { EventToEncode } from '@edgekeep/core/attest/event-log';
import { qualifyingData, type QualifyingPurpose } from '@edgekeep/core/attest/qualifying-data';
import { encodeVerifierKey, type NoteSigner, verifierKey } from '@edgekeep/core/audit/note';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { boundToAsk } from '@edgekeep/core/access/release-ask';
import { boundWrapType } from '@edgekeep/core/access/wrap-context';
import { type CertifyPurpose, certifyQualifyingData, certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { type IdevidProof, idevidProofMessage } from '@edgekeep/core/attest/idevid-proof';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { signerFromKey } from '@edgekeep/core/signer';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import {
  entryVersionHeader,
  receiptVersionHeader,
  receiptVersionTwo,
  releaseResponse,
  saltedEntryVersion,
} from '@edgekeep/wire/api/access';
import { bindResponse, challengeResponse } from '@edgekeep/wire/api/attest';
import { type DeviceIdentity, identityKeys } from '@edgekeep/wire/api/device';
import {
  certificateResponse,
  type enrollChallengeRequest,
  enrollChallengeResponse,
} from '@edgekeep/wire/api/enrollment';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import type { z } from 'zod';
import { accepted, type Answer } from './answer.ts';
import { healthyBoot, logOf, measure } from './boot.ts';
import { DeviceLink, type DeviceListener, type Released, zeroNonce } from './device-link.ts';
import type { HubWorld } from './hub-world.ts';

const releaseHeaders = { [entryVersionHeader]: saltedEntryVersion, [receiptVersionHeader]: receiptVersionTwo };

export const quotedPcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14] as const;

type EnrollStart = z.infer<typeof enrollChallengeRequest>;
type EnrollEnd = Record<string, unknown>;

/** What an attacker sends in place of the device's data. */
export interface EnrollmentChanges {
  /** Runs between the two steps. */
  readonly between?: () => Promise<void>;
  readonly start?: (honest: EnrollStart) => object;
  readonly secret?: (honest: () => Promise<Uint8Array>) => Promise<Uint8Array | undefined>;
  readonly end?: (honest: EnrollEnd) => object;
  /** What the evidence says of the device in place of the truth. */
  readonly claims?: CertifyClaims;
  /** The address of the two steps; left out: `/v1/enroll`. */
  readonly address?: string;
}

/** The origin of the log of every hub in tests. */
export const testOrigin = 'edgekeep.test/log';

/** What the hub asked, on which connection, and the key to certify. */
export interface CertifyAsk {
  readonly nonce: Uint8Array;
  readonly spki: Uint8Array;
  readonly exporter: Uint8Array;
}

export interface CertifyClaims {
  readonly hub?: string;
  readonly deviceId?: string;
  readonly identity?: DeviceIdentity;
  readonly witnessKey?: string;
}

export interface CertifyProof {
  readonly version: typeof certifyVersion;
  readonly evidence: object;
}

export class TestDevice {
  readonly id: string;
  readonly rootOfTrust: RootOfTrust;
  readonly witness: NoteSigner;
  /** The log as this device reports it; a test may falsify it. */
  eventLog: Uint8Array;
  /** What it quotes: the hub's setting `pcrs`. */
  pcrs: readonly number[] = quotedPcrs;
  #credential: TlsClientCredential | undefined;

  private constructor(id: string, rootOfTrust: RootOfTrust, eventLog: Uint8Array) {
    this.id = id;
    this.rootOfTrust = rootOfTrust;
    this.eventLog = eventLog;
    const signer = signerFromKey(generateKeyPairSync('ed25519').privateKey);
    this.witness = { name: `edgekeep.test/device/${id}`, signer };
  }

  /** Powers on with a TPM and measures a boot into it. */
  static async withTpm(
    id: string,
    simulator: Pick<TpmSimulator, 'address'>,
    boot: readonly EventToEncode[] = healthyBoot,
  ): Promise<TestDevice> {
    const rootOfTrust = await TpmRootOfTrust.open(simulator.address);
    await measure(rootOfTrust, boot);
    return new TestDevice(id, rootOfTrust, logOf(boot));
  }

  static async withoutTpm(
    id: string,
    stateFolder: string,
    boot: readonly EventToEncode[] = healthyBoot,
  ): Promise<TestDevice> {
    const bootId = crypto.randomUUID();
    const rootOfTrust = await SoftwareRootOfTrust.open({ stateFolder, bootId });
    await measure(rootOfTrust, boot);
    return new TestDevice(id, rootOfTrust, logOf(boot));
  }

  /** Powers on with any other root of trust, which the device then owns. */
  static async with(
    id: string,
    rootOfTrust: RootOfTrust,
    boot: readonly EventToEncode[] = healthyBoot,
  ): Promise<TestDevice> {
    await measure(rootOfTrust, boot);
    return new TestDevice(id, rootOfTrust, logOf(boot));
  }

  get credential(): TlsClientCredential {
    if (this.#credential === undefined) throw new TypeError(`${this.id} is not enrolled`);
    return this.#credential;
  }

  get witnessKey(): string {
    return encodeVerifierKey(verifierKey(this.witness.name, this.witness.signer.publicKey, 'cosignature-v1'));
  }

  async identity(): Promise<DeviceIdentity> {
    const identity = await this.rootOfTrust.describe();
    if (identity.tier === 'dice') {
      return { kind: 'dice', deviceIdCertificates: identity.deviceIdCertificates.map(toBase64url) };
    }
    if (identity.tier !== 'tpm') {
      const { tier: kind, signingPublic, encryptionPublic } = identity;
      return { kind, signingKey: toBase64url(signingPublic), encryptionKey: toBase64url(encryptionPublic) };
    }
    const { endorsementKey, endorsementChain, attestationPublic } = identity;
    return {
      kind: 'tpm',
      endorsementKey: toBase64url(endorsementKey.publicArea),
      endorsementKeyKind: endorsementKey.kind,
      endorsementCertificates: [endorsementKey.certificate ?? new Uint8Array(0), ...endorsementChain].map(toBase64url),
      attestationKey: toBase64url(attestationPublic),
    };
  }

  /** Evidence in the form of a request. */
  async evidence(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): Promise<object> {
    return evidenceDocument(await this.signedEvidence(qualifyingData(purpose, nonce, bound)));
  }

  /** What honest evidence for an operational key covers; `claims` is what it says in place of the truth. */
  async qualified(purpose: CertifyPurpose, { nonce, spki, exporter }: CertifyAsk, claims: CertifyClaims = {}) {
    const {
      deviceId = this.id,
      hub = testOrigin,
      identity = await this.identity(),
      witnessKey = this.witnessKey,
    } = claims;
    return certifyQualifyingData(purpose, nonce, {
      hub,
      deviceId,
      keys: identityKeys(identity),
      witnessKey: purpose === 'enroll' ? witnessKey : undefined,
      operationalSpki: spki,
      exporter,
    });
  }

  /** Evidence for an operational key, in the form of a request that certifies it. */
  async certifyProof(purpose: CertifyPurpose, ask: CertifyAsk, claims?: CertifyClaims): Promise<CertifyProof> {
    const evidence = evidenceDocument(await this.signedEvidence(await this.qualified(purpose, ask, claims)));
    return { version: certifyVersion, evidence };
  }

  /** Evidence for a key and, from a TPM, the lease counter. */
  async releaseProof(
    nonce: Uint8Array,
    bound: Uint8Array,
    purpose: 'release' | 'bound-release' = 'release',
  ): Promise<{ evidence: object; leaseCounter?: object }> {
    const evidence = await this.evidence(purpose, nonce, bound);
    const counter = await this.rootOfTrust.certifyLeaseCounter?.(qualifyingData(purpose, nonce, bound));
    if (counter === undefined) return { evidence };
    const { attest, signature } = counter;
    return { evidence, leaseCounter: { attest: toBase64url(attest), signature: toBase64url(signature) } };
  }

  async signedEvidence(data: Uint8Array): Promise<Evidence> {
    const signed = await this.rootOfTrust.attest(data, { bank: 'sha256', pcrs: [...this.pcrs] });
    return { ...signed, eventLog: this.eventLog };
  }

  /** Both steps of enrollment; returns the answer that ended it. */
  async tryEnroll(world: HubWorld, token: string | undefined, changes: EnrollmentChanges = {}): Promise<Answer> {
    await using link = await DeviceLink.open(world.hub);
    const { address = '/v1/enroll' } = changes;
    const idevid = await this.rootOfTrust.idevid?.();
    const identity = await this.identity();
    const honest: EnrollStart = {
      version: certifyVersion,
      deviceId: this.id,
      identity,
      ...(idevid !== undefined && { idevid: { chain: idevid.chain.map(toBase64url) } }),
      ...(token !== undefined && { token }),
    };
    const start = await link.ask('POST', `${address}/challenge`, changes.start?.(honest) ?? honest);
    if (start.status !== 200) return start;
    const { nonce, credential, agreement } = accepted(start, enrollChallengeResponse);
    const opened =
      agreement === undefined
        ? undefined
        : await this.rootOfTrust.openKey({ kind: 'hpke', ...agreement }, { enrolling: this.id });
    const activate = async () =>
      this.rootOfTrust.activateCredential(
        parseBase64url(credential?.blob ?? '', 'blob'),
        parseBase64url(credential?.encryptedSecret ?? '', 'secret'),
      );
    const secret =
      credential === undefined
        ? undefined
        : await (changes.secret === undefined ? activate() : changes.secret(activate));
    await changes.between?.();
    const { request, spki, privateKeyPem } = await newOperationalKey(this.id);
    const about = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: link.exporter };
    const qualified = await this.qualified('enroll', about, changes.claims);
    const subject = {
      use: 'enroll' as const,
      nonce: qualified,
      operationalSpki: spki,
      deviceId: this.id,
      identity,
    };
    const end = {
      ...(idevid !== undefined && { idevidProof: proofDocument(await idevid.prove(idevidProofMessage(subject))) }),
      ...(secret === undefined ? {} : { credentialSecret: toBase64url(secret) }),
      ...(opened === undefined ? {} : { agreementSecret: toBase64url(opened) }),
      certificateRequest: toBase64url(request),
      evidence: evidenceDocument(await this.signedEvidence(qualified)),
      witnessKey: this.witnessKey,
    };
    const answer = await link.ask('POST', `${address}/complete`, changes.end?.(end) ?? end);
    if (answer.status === 200) {
      const { certificateChain } = accepted(answer, certificateResponse);
      this.#credential = { certificateChainPem: certificateChain, privateKeyPem };
    }
    return answer;
  }

  async enroll(world: HubWorld, changes: EnrollmentChanges = {}): Promise<void> {
    const answer = await this.tryEnroll(world, await world.enrollmentToken({ deviceId: this.id }), changes);
    accepted(answer, certificateResponse);
  }

  /** Connects with the operational certificate and binds the connection to the root of trust. */
  async connect(hub: DeviceListener, from?: string): Promise<DeviceLink> {
    await using opened = new AsyncDisposableStack();
    const link = opened.use(await DeviceLink.open(hub, this.credential, from));
    accepted(await this.bind(link), bindResponse);
    opened.move();
    return link;
  }

  /** Returns after a restart, with a new operational key. */
  async recover(hub: DeviceListener, from?: string): Promise<void> {
    await using link = await DeviceLink.open(hub, undefined, from);
    const { nonce } = accepted(
      await link.ask('POST', '/v1/recover/challenge', { deviceId: this.id }),
      challengeResponse,
    );
    await this.#certify(link, '/v1/recover/complete', parseBase64url(nonce, 'nonce'));
  }

  /** The next operational key, ahead of time; open connections continue with the last one. */
  async renew(link: DeviceLink): Promise<void> {
    await this.#certify(link, '/v1/renew', await link.challenge());
  }

  async #certify(link: DeviceLink, path: string, nonce: Uint8Array): Promise<void> {
    const { request, spki, privateKeyPem } = await newOperationalKey(this.id);
    const purpose = path === '/v1/renew' ? 'renew' : 'recover';
    const proof = await this.certifyProof(purpose, { nonce, spki, exporter: link.exporter });
    const answer = await link.ask('POST', path, { ...proof, certificateRequest: toBase64url(request) });
    const { certificateChain } = accepted(answer, certificateResponse);
    this.#credential = { certificateChainPem: certificateChain, privateKeyPem };
  }

  async bind(link: DeviceLink): Promise<Answer> {
    return link.ask('POST', '/v1/bind', { evidence: await this.evidence('bind', zeroNonce, link.exporter) });
  }

  async attest(link: DeviceLink): Promise<Answer> {
    return link.ask('POST', '/v1/attest', {
      evidence: await this.evidence('release', await link.challenge(), link.exporter),
    });
  }

  /** Asks as an agent of the version before. */
  async askForKey(
    link: DeviceLink,
    model: string,
    version: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const proof = await this.releaseProof(await link.challenge(), link.exporter);
    return link.send('POST', '/v1/releases', JSON.stringify({ model, version, ...proof }), headers);
  }

  /** Asks in the present form, in which the key is bound to its use. */
  async askForBoundKey(link: DeviceLink, model: string, version: string, sent: object = {}): Promise<Answer> {
    const ask = { model, version, wraps: [boundWrapType] };
    const proof = await this.releaseProof(await link.challenge(), boundToAsk(link.exporter, ask), 'bound-release');
    return link.send('POST', '/v1/releases', JSON.stringify({ ...ask, ...proof, ...sent }), releaseHeaders);
  }

  /** A bound key that must be released. */
  async releaseBound(link: DeviceLink, model: string, version: string): Promise<Released> {
    return accepted(await this.askForBoundKey(link, model, version), releaseResponse);
  }

  /** A key that must be released. */
  async release(link: DeviceLink, model: string, version: string): Promise<Released> {
    return accepted(await this.askForKey(link, model, version), releaseResponse);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rootOfTrust[Symbol.asyncDispose]();
  }
}

/** A new key with a request for its certificate. */
export async function newOperationalKey(deviceId: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const request = await encodeCertificateRequest({ subject: commonNameOnly(deviceId) }, signerFromKey(privateKey));
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { request, spki: encodeSpki(publicKey), privateKeyPem };
}

/** A proof of an IDevID in the form of a request. */
export function proofDocument({ signature, residency }: IdevidProof): object {
  if (residency === undefined) return { signature: toBase64url(signature) };
  const { publicArea, attest, signature: certified } = residency;
  const parts = { publicArea, attest, signature: certified };
  const texts = Object.entries(parts).map(([name, bytes]) => [name, toBase64url(bytes)]);
  return { signature: toBase64url(signature), residency: Object.fromEntries(texts) };
}
