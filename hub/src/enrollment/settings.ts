// The settings that enrollment takes.

export interface CertificateSettings {
  readonly certificateSeconds: number;
  readonly publicUrl: string | null;
  /** The hub's name in the evidence of its devices. */
  readonly logOrigin: string;
}

export interface EnrollmentSettings extends CertificateSettings {
  readonly enrollment: { readonly requireToken: boolean };
  readonly vendorRoots: { readonly endorsementJudgedAt: 'now' | 'issuance' };
}
