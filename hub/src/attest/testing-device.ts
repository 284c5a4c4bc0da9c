// For tests: devices in memory. One has a TPM whose keys are in software, one has only a key in a file; both boot as core's tests do.
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeSoftwareStatement, type Evidence, signedStatement } from '@edgekeep/core/attest/evidence';
import { referenceValuesFromLog, encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import {
  cryptoAgileLog,
  fixedKey,
  testAttester,
  testPcrs,
  testQuote,
  type TestEvent,
  uefiBoot,
} from '@edgekeep/core/attest/testing';
import { toBase64url } from '@edgekeep/core/bytes';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeSizedPublic } from '@edgekeep/core/tpm/public-area';
import { endorsementTemplate } from '@edgekeep/core/tpm/template';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { deviceRow } from '../registry/testing-device.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { rootDigestOf } from './root-keys.ts';

/** Settings of a hub that asks for what test devices quote. */
export const testAttestation = {
  pcrs: testPcrs,
  attestation: {
    coveredPcrs: [],
    bootCoverage: 'pc-client',
    imaMismatch: 'refuse',
    clockDriftPercent: 15,
    clockSlackSeconds: 60,
    supersededGraceSeconds: 1_209_600,
    endingWarningDays: 14,
  },
  alerts: {
    bootsNotCompared: true,
    tpmClock: true,
    referenceValuesEnding: true,
    bootsSuperseded: true,
    referenceValuesNotQuoted: true,
  },
} as const;

export interface TestBoot {
  readonly qualifyingData: Uint8Array;
  readonly events?: readonly TestEvent[];
  readonly resetCount?: number;
  /** Another log than that of the boot. */
  readonly claimed?: readonly TestEvent[];
  readonly restartCount?: number;
  readonly clock?: bigint;
  readonly safe?: boolean;
  /** The signer's key, if it is not the device's own. */
  readonly signer?: KeyObject;
}

export interface TestDevice {
  readonly id: string;
  readonly identity: DeviceIdentity;
  readonly row: DeviceRow;
  /** Opens what is wrapped for it; for a TPM, the endorsement key. */
  readonly encryptionKey: KeyObject;
  evidence(boot: TestBoot): Evidence;
}

/** Different numbers are different devices. */
export function testTpmDevice(id: string, number: number): TestDevice {
  const { template } = endorsementTemplate('p-256');
  const encryptionKey = fixedKey(1_000_000 + number);
  const point = encodeP256Point(createPublicKey(encryptionKey));
  if (template.kind !== 'ecc') throw new TypeError('the template of P-256 has no curve');
  const endorsement = { ...template, x: point.subarray(1, 33), y: point.subarray(33) };
  const attester = testAttester(fixedKey(number));
  const identity: DeviceIdentity = {
    kind: 'tpm',
    endorsementKey: toBase64url(encodeSizedPublic(endorsement)),
    endorsementKeyKind: 'p-256',
    endorsementCertificates: ['AA'],
    attestationKey: toBase64url(encodeSizedPublic(attester.publicArea)),
  };
  return {
    id,
    identity,
    row: rowOf(id, identity),
    encryptionKey,
    evidence({
      qualifyingData,
      events = uefiBoot,
      resetCount = 7,
      signer = attester.privateKey,
      claimed = events,
      ...clockInfo
    }) {
      const { valueOf } = bootOf(events);
      const { eventLog } = bootOf(claimed);
      const quoted = { qualifyingData, pcrs: testPcrs, pcrValue: valueOf, resetCount, ...clockInfo };
      return { kind: 'tpm', ...testQuote({ ...attester, privateKey: signer }, quoted), eventLog };
    },
  };
}

/** Of the tier `software`, or of another one whose software states its boot. */
export function testKeyDevice(
  id: string,
  number: number,
  kind: 'software' | 'secure-element' = 'software',
): TestDevice {
  const signingKey = fixedKey(2_000_000 + number);
  const encryptionKey = fixedKey(3_000_000 + number);
  const identity: DeviceIdentity = {
    kind,
    signingKey: toBase64url(encodeSpki(createPublicKey(signingKey))),
    encryptionKey: toBase64url(encodeP256Point(createPublicKey(encryptionKey))),
  };
  return {
    id,
    identity,
    row: rowOf(id, identity),
    encryptionKey,
    evidence({ qualifyingData, events = uefiBoot, signer = signingKey }) {
      const { eventLog, valueOf } = bootOf(events);
      const pcrs = new Map(testPcrs.map((pcr) => [pcr, valueOf(pcr)] as const));
      const statement = encodeSoftwareStatement({ qualifyingData, pcrs });
      return {
        kind: 'software',
        statement,
        signature: sign('sha256', signedStatement({ kind: 'software', statement }), signer),
        eventLog,
      };
    },
  };
}

/** The document of reference values that accepts this boot. */
export function testReferences(version: string, events: readonly TestEvent[] = uefiBoot): Uint8Array {
  return encodeReferenceValues(
    referenceValuesFromLog(parseEventLog(cryptoAgileLog(events)), testPcrs, 'line', version),
  );
}

function bootOf(events: readonly TestEvent[]) {
  const eventLog = cryptoAgileLog(events);
  const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
  return { eventLog, valueOf: (pcr: number) => pcrValue(replayed, pcr) };
}

function rowOf(id: string, identity: DeviceIdentity): DeviceRow {
  return deviceRow(id, {
    tier: identity.kind,
    identity: JSON.stringify(identity),
    root_sha256: rootDigestOf(identity),
  });
}
