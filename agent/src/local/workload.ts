// Certificates for the programs of this device (spec/workload.md, "On the device"): requested on the agent's own connection, renewed at two
// thirds of their life, dropped when the device is cut off. The keys are only in this process's memory.
import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { equalBytes, toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { parsePem } from '@edgekeep/core/identity/pem';
import { encodeCertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
import { workloadSpiffeId } from '@edgekeep/core/identity/spiffe-id';
import { workloadOf } from '@edgekeep/core/identity/svid';
import { signerFromKey } from '@edgekeep/core/signer';
import { type BackoffSettings, backoffDelayMs } from '@edgekeep/wire/link/backoff';
import { workloadCertificateResponse } from '@edgekeep/wire/api/workload';
import { AgentError } from '../error.ts';
import { type Emit, failureEvent } from '../event.ts';
import { type Answer, postToHub, refusalText, type Send } from '../hub-api.ts';
import type { HubTime } from '../hub/hub-time.ts';
import { type Clocks, Lifetime, readClocks } from '../hub/lifetime.ts';
import { RepeatFilter } from '../repeat-filter.ts';

const generate = promisify(generateKeyPair);
// A fleet that was started together does not renew together.
const renewAtPart = 2 / 3;
const renewJitterPart = 0.1;

export interface WorkloadCertificate {
  readonly spiffeId: string;
  /** PEM, leaf first, without the root. */
  readonly certificateChain: string;
  /** PEM: the roots of the trust domain. */
  readonly trustBundle: string;
  /** Unix milliseconds. */
  readonly notAfterMs: number;
}

/** A certificate whose key the agent made. PEM. */
export interface WorkloadCredential extends WorkloadCertificate {
  readonly privateKey: string;
}

export interface WorkloadDependencies {
  readonly deviceId: string;
  /** Those that `agent.json` names. */
  readonly names: readonly string[];
  readonly send: Send;
  readonly emit: Emit;
  readonly clocks: Clocks;
  readonly hubTime: HubTime;
  /** The pause after refusals and failures. */
  readonly backoff: BackoffSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

interface Held {
  readonly credential: WorkloadCredential;
  readonly life: Lifetime;
  readonly renewalShare: number;
}

interface Failures {
  readonly inRow: number;
  /** Of elapsed time: no request before it. */
  readonly notBeforeMs: number;
}

export class Workloads {
  readonly #dependencies: WorkloadDependencies;
  readonly #held = new Map<string, Held>();
  readonly #why = new Map<string, string>();
  readonly #repeats = new Map<string, RepeatFilter>();
  readonly #failures = new Map<string, Failures>();

  constructor(dependencies: WorkloadDependencies) {
    this.#dependencies = dependencies;
  }

  /** What a program gets that asks for a key as well; undefined while there is none, or after it ended. */
  credential(name: string): WorkloadCredential | undefined {
    const held = this.#held.get(name);
    return held !== undefined && held.life.leftMs(readClocks(this.#dependencies.clocks)) > 0
      ? held.credential
      : undefined;
  }

  /** Why there is none. */
  why(name: string): string {
    return this.#why.get(name) ?? 'the hub was not asked yet';
  }

  /** Requests what is missing or due. A refusal of the hub is reported once; valid certificates stay in use. */
  async refresh(): Promise<void> {
    for (const name of this.#dependencies.names) {
      const { clocks, emit } = this.#dependencies;
      const held = this.#held.get(name);
      if (held !== undefined && held.life.untilRenewalMs(readClocks(clocks), held.renewalShare) > 0) continue;
      if (clocks.elapsed() < (this.#failures.get(name)?.notBeforeMs ?? 0)) continue;
      try {
        await this.#renew(name);
      } catch (error) {
        const event = failureEvent('workload', error);
        this.#failed(name);
        if (this.#shouldReport(name, event.kind === 'failed' ? event.message : event.kind)) emit(event);
      }
    }
  }

  /** A certificate for a key that the program does not share. `request` is DER PKCS#10; throws as parsing it does. */
  async certify(name: string, request: Uint8Array): Promise<Answer<WorkloadCertificate>> {
    const { spki } = parseCertificateRequest(request);
    const answer = await this.#ask(name, request);
    if (answer.kind === 'ok' && !equalBytes(leafOf(answer.value).spki, spki)) throw otherThanAsked();
    return answer;
  }

  /** Drops every certificate and key. */
  drop(why: string): void {
    for (const name of this.#held.keys()) this.#why.set(name, why);
    this.#held.clear();
    this.#failures.clear();
  }

  async #renew(name: string): Promise<void> {
    const { emit, clocks, hubTime, random } = this.#dependencies;
    const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
    const request = await encodeCertificateRequest({ subject: commonNameOnly(name) }, signerFromKey(privateKey));
    const answer = await this.#ask(name, request);
    if (answer.kind === 'refused') {
      const { code, message, reasons } = answer;
      this.#failed(name);
      if (this.#shouldReport(name, refusalText(answer)))
        emit({ kind: 'refused', step: `workload ${name}`, code, message, reasons });
      return;
    }
    const { spiffeId, notAfterMs } = answer.value;
    const credential = { ...answer.value, privateKey: pemOf(privateKey, answer.value) };
    const life = new Lifetime(readClocks(clocks), notAfterMs - hubTime.nowMs());
    this.#held.set(name, { credential, life, renewalShare: renewAtPart + (random() - 0.5) * renewJitterPart });
    this.#why.delete(name);
    this.#repeats.delete(name);
    this.#failures.delete(name);
    emit({ kind: 'workload-certified', workload: name, spiffeId, notAfter: notAfterMs });
  }

  async #ask(name: string, request: Uint8Array): Promise<Answer<WorkloadCertificate>> {
    const path = `/v1/workloads/${name}/certificate`;
    const body = { certificateRequest: toBase64url(request) };
    const answer = await postToHub(this.#dependencies.send, path, body, workloadCertificateResponse);
    if (answer.kind === 'refused') return answer;
    const leaf = leafOf(answer.value);
    const id = workloadOf(leaf);
    const isOurs = id.deviceId === this.#dependencies.deviceId && id.workload === name;
    if (!isOurs || workloadSpiffeId(id) !== answer.value.spiffeId) throw otherThanAsked();
    return { kind: 'ok', value: { ...answer.value, notAfterMs: leaf.notAfterSeconds * 1_000 } };
  }

  #failed(name: string): void {
    const { clocks, backoff, random } = this.#dependencies;
    const inRow = (this.#failures.get(name)?.inRow ?? 0) + 1;
    const notBeforeMs = clocks.elapsed() + backoffDelayMs(backoff, inRow, random());
    this.#failures.set(name, { inRow, notBeforeMs });
  }

  #shouldReport(name: string, why: string): boolean {
    this.#why.set(name, why);
    const repeats = this.#repeats.get(name) ?? new RepeatFilter(this.#dependencies.clocks.elapsed);
    this.#repeats.set(name, repeats);
    return repeats.passes(why);
  }
}

function leafOf({ certificateChain }: { readonly certificateChain: string }) {
  const [der] = parsePem(certificateChain, 'CERTIFICATE');
  if (der === undefined) throw new AgentError('hub-answer-invalid', 'the hub sent no certificate');
  return parseCertificate(der);
}

function pemOf(key: KeyObject, { certificateChain }: WorkloadCertificate): string {
  if (!new X509Certificate(certificateChain).checkPrivateKey(key)) throw otherThanAsked();
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function otherThanAsked(): AgentError {
  return new AgentError('hub-answer-invalid', 'the certificate is for another workload or key than was asked for');
}
