// For tests and benchmarks: boot logs like those of a UEFI machine, and a TPM's quote made with a key in memory.
import { createHash, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { concat, parseBase64url, utf8 } from '../bytes.ts';
import { ecdsaDerToRaw } from '../jws.ts';
import { encodeAttest } from '../tpm/testing-attest.ts';
import { pcrDigest } from '../tpm/pcr-selection.ts';
import { objectAttributes, type TpmPublic } from '../tpm/public-area.ts';
import { encodeTpmSignature } from '../tpm/signature.ts';
import { encodeEventLogHeader, encodeEventOfBanks, encodeSha1Event, type LogBank } from './event-log.ts';
import { eventTypes } from './event-type.ts';
import { type AttestationKey, attestationKeyOf } from './quote.ts';

export interface TestEvent {
  readonly pcr: number;
  readonly eventType: number;
  /** The hashed bytes; a test changes them to change the boot. */
  readonly measured: Uint8Array;
  readonly event: Uint8Array;
}

/** An event that measures its own data. */
export function testEvent(pcr: number, eventType: number, event: Uint8Array | string): TestEvent {
  const bytes = typeof event === 'string' ? utf8(event) : event;
  return { pcr, eventType, measured: bytes, event: bytes };
}

/** The first record of a machine whose TPM was started from `locality`. */
export function startupLocality(locality: number): TestEvent {
  return testEvent(0, eventTypes.noAction, concat(utf8('StartupLocality\0'), Uint8Array.of(locality)));
}

/** A UEFI boot up to the agent's stages: firmware, variables, separators, loader, kernel, stages in PCR 14. */
export const uefiBoot: readonly TestEvent[] = [
  testEvent(0, 0x8, Buffer.from('1.2.0\0', 'utf16le')),
  testEvent(
    0,
    0x80000008,
    Uint8Array.from({ length: 16 }, (_, index) => index),
  ),
  testEvent(7, 0x80000001, uefiVariable('SecureBoot', Uint8Array.of(1))),
  testEvent(
    7,
    0x80000001,
    uefiVariable(
      'PK',
      Uint8Array.from({ length: 40 }, (_, index) => index),
    ),
  ),
  testEvent(1, 0x80000002, uefiVariable('BootOrder', Uint8Array.of(0, 0))),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => testEvent(pcr, eventTypes.separator, new Uint8Array(4))),
  testEvent(5, 0x80000007, 'Exit Boot Services Invocation'),
  testEvent(8, eventTypes.ipl, 'grub_cmd: linux /vmlinuz root=/dev/vda1 ro\0'),
  { ...testEvent(9, eventTypes.ipl, '/vmlinuz\0'), measured: utf8('the kernel image') },
  { ...testEvent(14, eventTypes.ipl, 'stage agent 1.4.0'), measured: utf8('the agent') },
  { ...testEvent(14, eventTypes.ipl, 'stage guard 1.4.0'), measured: utf8('the guard') },
];

export const testPcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 14];

/** `uefiBoot` with `count` events in total, the added ones in PCR 8. */
export function longBoot(count: number): readonly TestEvent[] {
  const more = Array.from({ length: count - uefiBoot.length }, (_, index) =>
    testEvent(8, eventTypes.ipl, `grub_cmd: menuentry number ${index} of the configuration file`),
  );
  return [...uefiBoot, ...more];
}

/** `vendor` is a GUID as it is stored; left out: that of the global variables. */
export function uefiVariable(name: string, data: Uint8Array, vendor = '61dfe48bca93d211aa0d00e098032b8c'): Uint8Array {
  const lengths = new DataView(new ArrayBuffer(16));
  lengths.setBigUint64(0, BigInt(name.length), true);
  lengths.setBigUint64(8, BigInt(data.length), true);
  return concat(Buffer.from(vendor, 'hex'), new Uint8Array(lengths.buffer), Buffer.from(name, 'utf16le'), data);
}

/** A crypto-agile log. EV_NO_ACTION records get digests of zeros. */
export function cryptoAgileLog(events: readonly TestEvent[], banks: readonly LogBank[] = ['sha256']): Uint8Array {
  const records = events.map((event) => {
    const digests = Object.fromEntries(banks.map((bank) => [bank, digestIn(bank, event)]));
    return encodeEventOfBanks({ ...event, digests });
  });
  return concat(encodeEventLogHeader(banks), ...records);
}

export function sha1Log(events: readonly TestEvent[]): Uint8Array {
  return concat(...events.map((event) => encodeSha1Event({ ...event, digest: digestIn('sha1', event) })));
}

function digestIn(bank: LogBank, { eventType, measured }: TestEvent): Uint8Array {
  const digest = createHash(bank).update(measured).digest();
  return eventType === eventTypes.noAction ? digest.fill(0) : digest;
}

export interface TestAttester {
  readonly publicArea: TpmPublic;
  readonly key: AttestationKey;
  readonly privateKey: KeyObject;
}

/** A TPM in memory: a P-256 key with the public area of an attestation key, primary of the endorsement hierarchy. */
export function testAttester(privateKey: KeyObject): TestAttester {
  const { x = '', y = '' } = privateKey.export({ format: 'jwk' });
  const { fixedTpm, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign: signs } = objectAttributes;
  const publicArea: TpmPublic = {
    kind: 'ecc',
    nameAlgorithm: 'sha256',
    attributes: fixedTpm | fixedParent | sensitiveDataOrigin | userWithAuth | restricted | signs,
    authPolicy: new Uint8Array(),
    symmetric: null,
    scheme: { kind: 'ecdsa', hash: 'sha256' },
    curve: 'p256',
    x: parseBase64url(x, 'x'),
    y: parseBase64url(y, 'y'),
  };
  return { publicArea, key: attestationKeyOf(publicArea, 'endorsement'), privateKey };
}

/** A P-256 key that is the same in every run, so vectors and failures repeat. */
export function fixedKey(scalar: number): KeyObject {
  const der = Buffer.from(
    `303102010104200000000000000000000000000000000000000000000000000000000000000000a00a06082a8648ce3d030107`,
    'hex',
  );
  der.writeUInt32BE(scalar, 7 + 28);
  return createPrivateKey({ key: der, format: 'der', type: 'sec1' });
}

export interface TestQuote {
  readonly qualifyingData: Uint8Array;
  readonly pcrs: readonly number[];
  readonly pcrValue: (pcr: number) => Uint8Array;
  readonly resetCount?: number;
  readonly restartCount?: number;
  readonly clock?: bigint | undefined;
  readonly safe?: boolean | undefined;
  readonly bank?: LogBank;
}

/** TPM2_Quote: a TPMS_ATTEST and its TPMT_SIGNATURE. */
export function testQuote(
  { key, privateKey }: TestAttester,
  quoted: TestQuote,
): { readonly quote: Uint8Array; readonly signature: Uint8Array } {
  const quote = encodeAttest({
    kind: 'quote',
    qualifiedSigner: key.qualifiedName ?? new Uint8Array(),
    extraData: quoted.qualifyingData,
    clockInfo: {
      clock: quoted.clock ?? 86_400_000n,
      resetCount: quoted.resetCount ?? 7,
      restartCount: quoted.restartCount ?? 0,
      safe: quoted.safe ?? true,
    },
    firmwareVersion: 0x2023_0000_0000_0001n,
    selections: [{ bank: quoted.bank ?? 'sha256', pcrs: quoted.pcrs }],
    pcrDigest: pcrDigest(quoted.pcrs.map(quoted.pcrValue)),
  });
  const raw = ecdsaDerToRaw(sign('sha256', quote, privateKey), 32);
  return {
    quote,
    signature: encodeTpmSignature({ kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) }),
  };
}
