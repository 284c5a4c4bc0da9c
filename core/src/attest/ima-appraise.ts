// What follows from the IMA log for an appraisal (spec/ima-policy.md, "The result"): the policies for this boot, and whether one of them accepts
// everything that the kernel measured.
import type { ImaFindings, ImaPolicies } from './ima-findings.ts';
import { IMA_FINDINGS_MAX } from './ima-findings.ts';
import type { OpenedImaPolicy } from './ima-policy.ts';
import type { Reason } from './reason.ts';
import { IMA_PCR } from './reference-values.ts';
import { statusOfVector, type TrustStatus, type TrustVector, trustValues } from './trust-vector.ts';

export const imaMismatches = ['refuse', 'warn'] as const;
export type ImaMismatch = (typeof imaMismatches)[number];

interface Appraised {
  readonly status: TrustStatus;
  readonly vector: TrustVector;
  readonly reasons: readonly Reason[];
  readonly referenceValues?: { readonly name: string };
}

interface RuntimeInput {
  readonly tier: string;
  readonly pcrSelection: readonly number[];
  readonly imaPolicies?: ImaPolicies | undefined;
  readonly imaMismatch?: ImaMismatch | undefined;
}

/** Adds what the IMA log shows. Without a policy for this boot nothing is claimed about what ran after it. */
export function withRuntime<T extends Appraised>(
  boot: T,
  input: RuntimeInput,
  imaLog: { readonly findings?: readonly ImaFindings[] | undefined } | undefined,
): T {
  const { list = [] } = input.imaPolicies ?? {};
  const name = boot.referenceValues?.name;
  const found = list.flatMap((policy, at) => {
    const isFor = policy.boots === undefined || (name !== undefined && policy.boots.includes(name));
    return isFor ? [{ policy, findings: imaLog?.findings?.[at] }] : [];
  });
  if (input.tier !== 'tpm' || found.length === 0) return boot;
  const { executables } = boot.vector;
  if (found.some(({ findings }) => findings?.refused === 0)) {
    if (executables !== trustValues.approvedBoot) return boot;
    return { ...boot, vector: { ...boot.vector, executables: trustValues.approvedRuntime } };
  }
  const { unrecognizedExecutables, contraindicatedExecutables } = trustValues;
  const bad = input.imaMismatch === 'warn' ? unrecognizedExecutables : contraindicatedExecutables;
  const vector = { ...boot.vector, executables: Math.max(executables ?? 0, bad) };
  const reasons = [...boot.reasons, ...reasonsOf(found, input.pcrSelection)];
  return { ...boot, vector, status: statusOfVector(vector), reasons };
}

interface Found {
  readonly policy: OpenedImaPolicy;
  readonly findings: ImaFindings | undefined;
}

// Of the policy that refuses the fewest entries.
function reasonsOf(found: readonly Found[], pcrs: readonly number[]): readonly Reason[] {
  const [nearest] = found.toSorted((a, b) => (a.findings?.refused ?? Infinity) - (b.findings?.refused ?? Infinity));
  if (nearest === undefined) return [];
  const { policy, findings } = nearest;
  const by = `IMA policy ${policy.name} ${policy.version}`;
  if (findings === undefined) {
    const what = pcrs.includes(IMA_PCR)
      ? 'the device sent no IMA log'
      : `PCR ${IMA_PCR} is not quoted (the setting pcrs)`;
    return [{ code: 'ima-log-missing', message: `${by} has nothing to compare: ${what}`, pcr: IMA_PCR }];
  }
  const shown = findings.first.map((text): Reason => ({
    code: 'ima-entry-refused',
    message: `${by}: ${text}`,
    pcr: IMA_PCR,
  }));
  if (findings.refused <= IMA_FINDINGS_MAX) return shown;
  const message = `${by}: ${findings.refused - findings.first.length} more entries are not accepted`;
  return [...shown, { code: 'ima-entry-refused', message, pcr: IMA_PCR }];
}
