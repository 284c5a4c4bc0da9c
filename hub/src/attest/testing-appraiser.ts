// An appraiser over a test's store: it signs with a key of its own and knows no maker, unless a test says otherwise.
import { generateKeyPairSync } from 'node:crypto';
import { indexCertificates } from '@edgekeep/core/identity/certificate-index';
import { signerFromKey, type Signer } from '@edgekeep/core/signer';
import type { Database } from '../store/database.ts';
import { type AppraisalSettings, Appraiser, type MakersOfDevices } from './appraiser.ts';
import type { ReferenceStore } from './reference-store.ts';
import { RootKeys } from './root-keys.ts';
import { testAttestation } from './testing-device.ts';

const nobody = { anchors: indexCertificates([]), intermediates: indexCertificates([]) };

export interface TestAppraiserDependencies {
  readonly signer?: Signer;
  readonly rootKeys?: RootKeys;
  readonly diceTrust?: MakersOfDevices['diceTrust'];
  readonly settings?: AppraisalSettings;
  readonly epoch?: () => string;
  /** Whether the store lets the key of results count; left out: it does. */
  readonly keyCounts?: () => boolean;
}

export function testAppraiser(
  database: Database,
  references: ReferenceStore,
  dependencies: TestAppraiserDependencies = {},
): Appraiser {
  const {
    signer = newSigner(),
    rootKeys = new RootKeys(),
    diceTrust = () => nobody,
    settings = testAttestation,
    keyCounts = () => true,
  } = dependencies;
  const makers = { diceTrust, trusted: () => '', trustedIn: async () => '', tierReasons: async () => [] };
  const signing = () => ({ signer, keyId: 'key', countsIn: async () => keyCounts() });
  return new Appraiser({ database, references, rootKeys, signing, makers, settings, epoch: dependencies.epoch });
}

function newSigner(): Signer {
  return signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}
