// Mutants of the identities of workloads.
import type { Mutant } from './mutant.ts';

const certify = 'hub/src/workload/certify.ts';

export const workloadMutants: readonly Mutant[] = [
  {
    id: 'workload/not-declared',
    file: certify,
    find: 'if ((await declaredFor(trx, deviceId, nowMs, workload)).length === 0)',
    replace: "if (workload === '')",
    breaks: 'a workload that nobody declared gets no certificate',
  },
  {
    id: 'workload/disabled',
    file: certify,
    find: 'if (reason !== null) throw',
    replace: "if (reason === '') throw",
    breaks: 'a disabled workload gets no certificate',
  },
  {
    id: 'workload/device-not-active',
    file: certify,
    find: "if (device.state !== 'active') {",
    replace: "if (device.state === 'retired') {",
    breaks: 'a device whose boot was refused has no workloads',
  },
  {
    id: 'workload/device-disabled',
    file: certify,
    find: '  assertEnabled(device);\n',
    replace: '',
    breaks: 'a device that is switched off has no workloads',
  },
  {
    id: 'workload/other-key',
    file: certify,
    find: 'if (other === undefined) return;',
    replace: 'if (other === undefined || other.workload === null) return;',
    breaks: 'the key of the device speaks for no workload',
  },
  {
    id: 'workload/standing',
    file: certify,
    find: 'if (standing >= STANDING_MAX)',
    replace: 'if (standing > STANDING_MAX)',
    breaks: 'a program gone wrong gets a limited number of certificates',
  },
  {
    id: 'workload/other-device',
    file: 'hub/src/workload/declarations.ts',
    find: "return row.target === deviceId ? [{ workload: row.name, by: 'device' }] : [];",
    replace: "return row.target === '' ? [] : [{ workload: row.name, by: 'device' }];",
    breaks: 'what is declared for one device is declared for no other',
  },
  {
    id: 'workload/other-group',
    file: 'hub/src/workload/declarations.ts',
    find: '`id==${deviceId};group==${group}`',
    replace: '`group==${group}`',
    breaks: 'what is declared for a group is declared for its members',
  },
  {
    id: 'workload/removed',
    file: 'hub/src/workload/declarations.ts',
    find: "target.kind === 'device' && (await declaredFor(trx, target.name, nowMs, workload)).length === 0",
    replace: "target.kind === 'group' && (await declaredFor(trx, target.name, nowMs, workload)).length === 0",
    breaks: 'the certificates of a workload end with its declaration',
  },
  {
    id: 'workload/revoked',
    file: 'hub/src/workload/revoke.ts',
    find: 'if (revoked.length > 0)',
    replace: 'if (revoked.length < 0)',
    breaks: 'every node learns of the end of a workload',
  },
  {
    id: 'workload/spiffe-path',
    file: 'core/src/identity/spiffe-id.ts',
    find: "second === 'workload' && more.length === 0",
    replace: "second === 'workload'",
    breaks: 'a SPIFFE ID with more behind it is another one',
  },
];
