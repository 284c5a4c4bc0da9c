// The trustworthiness vector of AR4SI (draft-ietf-rats-ar4si, section 2.3): eight claims, one signed octet each, and the tier of a value.

const trustClaims = [
  'instance-identity',
  'configuration',
  'executables',
  'file-system',
  'hardware',
  'runtime-opaque',
  'storage-opaque',
  'sourced-data',
] as const;

export type TrustClaim = (typeof trustClaims)[number];
/** A claim of 0, or one that is left out, says nothing. */
export type TrustVector = { readonly [claim in TrustClaim]?: number | undefined };

/** Values the appraisal gives, by the draft's tables. */
export const trustValues = {
  none: 0,
  recognizedInstance: 2,
  untrustworthyInstance: 96,
  approvedConfiguration: 2,
  unsupportableConfiguration: 96,
  /** Only approved executables, scripts and files were loaded during and after the boot. */
  approvedRuntime: 2,
  /** Only approved executables were loaded during boot; no claim about later. */
  approvedBoot: 3,
  /** Something was loaded that the reference values do not know. */
  unrecognizedExecutables: 33,
  contraindicatedExecutables: 96,
  genuineHardware: 2,
  unsafeHardware: 32,
  cryptographyFailed: 99,
} as const;

export const trustStatuses = ['affirming', 'warning', 'contraindicated'] as const;
/** An appraisal that claims nothing has the status `none` in EAR; ours always claims something. */
export type TrustStatus = (typeof trustStatuses)[number];

/** Section 2.3.2: 2 to 31 (and -32 to -2) affirm, 32 to 95 (-96 to -33) warn, 96 to 127 (-128 to -97) contraindicate; -1 to 1 say nothing. */
export function trustStatusOf(value: number): TrustStatus | 'none' {
  if (value >= -1 && value <= 1) return 'none';
  if (value >= -32 && value <= 31) return 'affirming';
  return value >= -96 && value <= 95 ? 'warning' : 'contraindicated';
}

/** The worst tier of all claims; a vector without claims affirms nothing and warns. */
export function statusOfVector(vector: TrustVector): TrustStatus {
  const found = new Set(trustClaims.map((claim) => trustStatusOf(vector[claim] ?? 0)));
  if (found.has('contraindicated')) return 'contraindicated';
  return found.has('warning') || !found.has('affirming') ? 'warning' : 'affirming';
}
