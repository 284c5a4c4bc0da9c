// For tests: a hub without doors at which devices enroll, and a device's part in it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type CertifyPurpose, certifyQualifyingData, certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { testEndorsement } from '@edgekeep/core/identity/testing-endorsement';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { ReferenceStore } from '../attest/reference-store.ts';
import { testAppraiser } from '../attest/testing-appraiser.ts';
import { type TestDevice, testTpmDevice, testAttestation } from '../attest/testing-device.ts';
import { openTestAuthorities } from '../authority/testing-authorities.ts';
import { giveToken, tokensMadeMs } from '../people/testing-people.ts';
import { type DisconnectDependencies, quarantineDevice } from '../respond/quarantine.ts';
import { wipeDevice } from '../respond/wipe.ts';
import { hubSettingsSchema } from '../settings.ts';
import { openTestStore } from '../store/testing-store.ts';
import { importVendorRoots } from '../vendor-root/store.ts';
import { VendorRoots } from '../vendor-root/vendor-roots.ts';
import { identityKeys } from '@edgekeep/wire/api/device';
import { completeEnrollment } from './complete.ts';
import { type EnrollmentStart, startEnrollment } from './start.ts';
import { createEnrollmentToken } from './one-time-token.ts';

export const nowMs = tokensMadeMs;
export const by = { actor: 'person:ada/desk', nowMs };
const nowSeconds = nowMs / 1_000;
const period = { notBeforeSeconds: nowSeconds - 86_400, notAfterSeconds: nowSeconds + 365 * 86_400 };
const maker = await testRoot(period, 'Maker root');

/** `settings` as an operator writes them. */
export async function openEnrollmentHub(settings: object = {}) {
  const store = await openTestStore();
  const { database } = store;
  const authorities = await openTestAuthorities(store, nowMs);
  const terms = { kind: 'tpm', anchor: false, source: 'test', ...by } as const;
  await importVendorRoots(database, { ...terms, certificates: [maker.certificate] });
  const vendorRoots = await VendorRoots.open(database);
  const references = new ReferenceStore(database, testAttestation, () => nowMs);
  const appraiser = testAppraiser(database, references, { diceTrust: () => vendorRoots.trust('dice') });
  const parts = { database, authorities, settings: hubSettingsSchema.parse(settings), vendorRoots, appraiser };
  const ada = await giveToken(database, { person: 'ada', roles: ['administrator'] });
  return {
    ...store,
    parts,
    ada,
    maker,
    vendorRoots,
    references,
    /** A one-time token. */
    async token(
      of: { readonly deviceId?: string; readonly tier?: string; readonly nowMs?: number } = {},
    ): Promise<string> {
      const order = { deviceId: undefined, tier: undefined, lifeSeconds: 3_600, maker: ada, ...by, ...of };
      return (await createEnrollmentToken(database, order)).token;
    },
  };
}
export type EnrollmentHub = Awaited<ReturnType<typeof openEnrollmentHub>>;

/** A device with a TPM that the maker above vouches for, or another one. */
export async function madeTpmDevice(id: string, number: number, issuer = maker): Promise<TestDevice> {
  const device = testTpmDevice(id, number);
  const { identity } = device;
  if (identity.kind !== 'tpm') throw new TypeError('not a TPM');
  const key = publicKeyOf(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')));
  const { der } = await testEndorsement(encodeSpki(key), issuer, period);
  return { ...device, identity: { ...identity, endorsementCertificates: [toBase64url(der)] } };
}

type Answer = Parameters<typeof completeEnrollment>[2];

export interface Enrollment {
  readonly deviceId?: string;
  readonly token?: string;
  readonly idevid?: { readonly chain: readonly string[] };
  readonly atMs?: number;
  /** What happens at the hub between the two steps. */
  readonly between?: (start: EnrollmentStart) => Promise<unknown>;
  /** Spoils the answer of an honest device. */
  readonly answer?: (honest: Answer, qualified: Uint8Array) => Partial<Answer> | Promise<Partial<Answer>>;
  /** Of the device; left out: a new one. */
  readonly witnessKey?: string;
  /** Spoils its evidence. */
  readonly boot?: Partial<Parameters<TestDevice['evidence']>[0]>;
}

export function startWith(
  hub: EnrollmentHub,
  device: TestDevice,
  enrollment: Enrollment = {},
): Promise<EnrollmentStart> {
  const { deviceId = device.id, token, idevid, atMs = nowMs } = enrollment;
  const { identity } = device;
  const request = { version: certifyVersion, deviceId, token, identity, idevid, address: '192.0.2.7', nowMs: atMs };
  return startEnrollment(hub.parts, request);
}

/** Both steps, as an honest device takes them. */
export async function enrollWith(
  hub: EnrollmentHub,
  device: TestDevice,
  enrollment: Enrollment = {},
): Promise<Certificate> {
  const { between, answer = () => ({}), boot = {}, atMs = nowMs, witnessKey = newWitnessKey(device.id) } = enrollment;
  const start = await startWith(hub, device, enrollment);
  await between?.(start);
  const { pending } = start;
  const operational = newSigner();
  const nonce = randomBytes(32);
  const about = { nonce, spki: encodeSpki(operational.publicKey), deviceId: pending.deviceId, witnessKey };
  const covered = qualified('enroll', device, about);
  const honest: Answer = {
    credentialSecret: pending.credentialSecret,
    agreementSecret: pending.agreementSecret,
    certificateRequest: await encodeCertificateRequest({ subject: commonNameOnly(device.id) }, operational),
    evidence: device.evidence({ qualifyingData: covered, ...boot }),
    witnessKey,
    pieces: { imaLog: undefined },
    nonce,
    askedMs: atMs,
    exporter: testExporter,
    nowMs: atMs,
  };
  return completeEnrollment(hub.parts, pending, { ...honest, ...(await Promise.resolve(answer(honest, covered))) });
}

/** The TLS exporter of the one connection of these tests. */
export const testExporter = new Uint8Array(32).fill(5);

/** What the evidence of an honest device covers. */
export function qualified(
  purpose: CertifyPurpose,
  { identity }: Pick<TestDevice, 'identity'>,
  about: {
    readonly nonce: Uint8Array;
    readonly spki: Uint8Array;
    readonly deviceId: string;
    readonly witnessKey?: string | undefined;
    readonly hub?: string;
    readonly exporter?: Uint8Array;
  },
): Uint8Array {
  const { nonce, spki: operationalSpki, hub = testOrigin, exporter = testExporter, ...named } = about;
  return certifyQualifyingData(purpose, nonce, {
    ...named,
    hub,
    exporter,
    operationalSpki,
    keys: identityKeys(identity),
  });
}

/** The origin of a log whose settings name none. */
const testOrigin = 'edgekeep.local/log';

export function newWitnessKey(deviceId: string, type: 'cosignature-v1' | 'ed25519' = 'cosignature-v1'): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  return encodeVerifierKey(verifierKey(`hub.example/device/${deviceId}`, publicKey, type));
}

/** What cutting a device off touches, where nothing is connected. */
export function fleetOf({ database }: Pick<EnrollmentHub, 'database'>): DisconnectDependencies {
  return {
    database,
    connections: { cut: () => 0 },
    witnesses: { remove: () => undefined },
    watch: { poll: () => Promise.resolve() },
  };
}

/** Quarantines a device and ends its identity. */
export async function wipe(hub: EnrollmentHub, deviceId: string, atMs = nowMs): Promise<void> {
  const order = { deviceId, reason: 'sold', actor: by.actor, nowMs: atMs };
  await quarantineDevice(fleetOf(hub), order);
  await wipeDevice(fleetOf(hub), order);
}
