// For tests: a hub that certifies workloads, with two active devices.
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import type { Signer } from '@edgekeep/core/signer';
import { openTestAuthorities } from '../authority/testing-authorities.ts';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { hubSettingsSchema } from '../settings.ts';
import { openTestStore } from '../store/testing-store.ts';
import { certifyWorkload } from './certify.ts';
import { declareWorkload, type WorkloadTarget } from './declarations.ts';

export const nowMs = 1_800_000_000_000;
export const by = { actor: 'person:ada/desk', nowMs };
export const press: WorkloadTarget = { kind: 'device', name: 'press-1' };

export async function openWorkloadHub() {
  const store = await openTestStore();
  const authorities = await openTestAuthorities(store, nowMs);
  await addDevices(store.database, deviceRow('press-1'), deviceRow('press-2'));
  const parts = { database: store.database, authorities, settings: hubSettingsSchema.parse({}) };
  return { ...store, parts };
}
export type WorkloadHub = Awaited<ReturnType<typeof openWorkloadHub>>;

export function declare({ database }: WorkloadHub, workload: string, target = press) {
  return declareWorkload(database, { workload, target, description: '', ...by });
}

export interface CertifyAsk {
  readonly deviceId?: string;
  readonly workload?: string;
  readonly key?: Signer;
  readonly atMs?: number;
}

export async function certify({ parts }: WorkloadHub, ask: CertifyAsk = {}) {
  const { deviceId = 'press-1', workload = 'camera', key = newSigner(), atMs = nowMs } = ask;
  const certificateRequest = await encodeCertificateRequest({ subject: commonNameOnly('any') }, key);
  return certifyWorkload(parts, { deviceId, workload, certificateRequest, nowMs: atMs });
}
