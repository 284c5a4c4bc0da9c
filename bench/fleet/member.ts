// One simulated TPM device. Its keys are in software and its boot log was made in advance; what a TPM would sign is signed for every
// request, because nonce and TLS exporter are only known then.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeEvidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { type TestAttester, testAttester, testQuote } from '@edgekeep/core/attest/testing';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeSizedPublic } from '@edgekeep/core/tpm/public-area';
import type { TpmIdentity } from '@edgekeep/hardware/root-of-trust';

/** What a device needs to play its part; the fleet file is a list of these. */
export interface Member {
  readonly id: string;
  /** PKCS#8 DER, base64. */
  readonly attestationKey: string;
  /** PKCS#8 PEM of the operational key, and the certificate chain over it. */
  readonly tlsKey: string;
  readonly tlsChain: string;
  /** TPM2B_PUBLIC of the endorsement key, base64url. */
  readonly endorsementKey: string;
  /** Index into the fleet's boot logs. */
  readonly boot: number;
}

export interface FleetFile {
  readonly root: string;
  readonly serverName: string;
  /** The origin of the hub's log. */
  readonly logOrigin: string;
  /** That the hub signs attestation results with, PEM. */
  readonly attestationKey: string;
  readonly pcrs: readonly number[];
  readonly model: { readonly name: string; readonly version: string };
  /** Event logs, base64. */
  readonly boots: readonly string[];
  readonly members: readonly Member[];
}

/** A boot log in the three forms a device uses: its bytes, its PCR values, and its text in the evidence document. */
export interface Boot {
  readonly pcrValue: (pcr: number) => Uint8Array;
  /** The evidence document up to the quote. */
  readonly evidenceStart: string;
}

export function bootOf(eventLog: Uint8Array): Boot {
  const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
  const empty = new Uint8Array(0);
  const document = Buffer.from(encodeEvidence({ kind: 'tpm', quote: empty, signature: empty, eventLog })).toString();
  return { pcrValue: (pcr) => pcrValue(replayed, pcr), evidenceStart: document.slice(0, document.indexOf('"quote"')) };
}

/** Quotes as the device's TPM makes them. */
export function quoteOf(attestationKey: string, { pcrValue: valueOf }: Boot) {
  const attester: TestAttester = testAttester(privateKeyOf(attestationKey));
  return (data: Uint8Array, pcrs: readonly number[]) =>
    testQuote(attester, { qualifyingData: data, pcrs, pcrValue: valueOf });
}

/** What the device's TPM says of its keys. */
export function describedTpm({ attestationKey, endorsementKey }: Member): TpmIdentity {
  return {
    tier: 'tpm',
    endorsementKey: {
      kind: 'rsa-2048',
      publicArea: parseBase64url(endorsementKey, 'endorsementKey'),
      // Read at enrollment only.
      certificate: new Uint8Array(0),
    },
    endorsementChain: [],
    attestationPublic: encodeSizedPublic(testAttester(privateKeyOf(attestationKey)).publicArea),
    manufacturer: 'NONE',
    firmwareVersion: 0n,
  };
}

export class Prover {
  readonly #quote: ReturnType<typeof quoteOf>;
  readonly #boot: Boot;
  readonly #pcrs: readonly number[];

  constructor(attestationKey: string, boot: Boot, pcrs: readonly number[]) {
    this.#quote = quoteOf(attestationKey, boot);
    this.#boot = boot;
    this.#pcrs = pcrs;
  }

  /** The evidence document (spec/evidence.md), as JSON text. */
  evidence(purpose: 'bind' | 'bound-release', nonce: Uint8Array, exporter: Uint8Array): string {
    const { quote, signature } = this.#quote(qualifyingData(purpose, nonce, exporter), this.#pcrs);
    const { evidenceStart } = this.#boot;
    const signed = `"quote":"${toBase64url(quote)}","signature":"${toBase64url(signature)}"`;
    return `${evidenceStart}${signed},"type":"edgekeep-evidence/v1"}`;
  }
}

function privateKeyOf(base64: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' });
}
