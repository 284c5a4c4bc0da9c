// The state folder: what survives a restart of the agent; only its user can read it. Nothing in it is secret except the witness key, the
// hybrid key where no TPM seals it, and on the software tier the root of trust. Models in it are ciphertext. What the loss of each file means
// is in spec/agent.md.
import { makeFolder } from '@edgekeep/host/make-folder';
import { chmod, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import type { AgentSettings } from './settings.ts';

export interface StateFolder {
  /** A path of the settings: relative ones start at the state folder. */
  resolve(path: string): string;
  readonly softwareRootOfTrust: string;
  readonly bootLogs: string;
  /** The manufacturer's identity for the device (IDevID), where the hardware has no room for it. */
  readonly idevid: string;
  /** Written when the hub has registered this device. */
  readonly enrolled: string;
  /** The TPM with which it was registered. */
  readonly enrolledTpm: string;
  /** Its counters at the last start. */
  readonly tpmClock: string;
  readonly witnessKey: string;
  readonly postQuantumWitnessKey: string;
  /** The private half of the device's hybrid key. */
  readonly hybridKey: string;
  /** The newest checkpoint of the log that this device cosigned. */
  readonly checkpoint: string;
  readonly forkProof: string;
  /** How the log before the present one ended. */
  readonly logEnd: string;
  /** The highest version of each model that was served. */
  readonly versions: string;
  /** Why models cannot be used here. */
  readonly modelFaults: string;
  /** The desired attributes of this device. */
  readonly desired: string;
  /** The roots that this device trusts, from the one that it was delivered with. */
  readonly knownRoots: string;
  /** The newest list of the hub's keys that a root of this device signed. */
  readonly knownKeys: string;
  /** Into which PCR stages are measured from the next boot on, as the hub said. */
  readonly stagePcr: string;
  readonly models: string;
  readonly receipts: string;
  readonly run: string;
}

/** Makes the folders where they are missing, closed to everybody else. */
export async function openStateFolder({ stateFolder, runFolder }: AgentSettings): Promise<StateFolder> {
  const at = (path: string) => resolve(stateFolder, path);
  const folder: StateFolder = {
    resolve: at,
    softwareRootOfTrust: at('root-of-trust'),
    bootLogs: at('boot'),
    idevid: at('idevid.pem'),
    enrolled: at('enrolled.json'),
    enrolledTpm: at('enrolled-tpm.json'),
    tpmClock: at('tpm-clock.json'),
    witnessKey: at('witness-key.pem'),
    postQuantumWitnessKey: at('witness-ml-dsa-44-key.pem'),
    hybridKey: at('hybrid-key.json'),
    checkpoint: at('checkpoint'),
    forkProof: at('fork-proof.json'),
    logEnd: at('log-end.json'),
    versions: at('versions.json'),
    modelFaults: at('model-faults.json'),
    desired: at('desired.json'),
    knownRoots: at('known-roots.json'),
    knownKeys: at('known-keys.json'),
    stagePcr: at('stage-pcr.json'),
    models: at('models'),
    receipts: at('receipts'),
    run: at(runFolder),
  };
  await makeFolder(stateFolder, { mode: 0o700 });
  await chmod(stateFolder, 0o700);
  for (const path of [folder.models, folder.receipts]) await makeFolder(path, { mode: 0o700 });
  // Existing permissions stay: the operator chooses the group that may reach the sockets.
  await makeFolder(folder.run, { mode: 0o750 });
  return folder;
}

/** The file's bytes; undefined when there is none. */
export function readIfThere(path: string): Promise<Uint8Array | undefined> {
  return orIfMissing(readFile(path), undefined);
}
