// The settings that enrollment takes.

export interface CertificateSettings {
  readonly certificateSeconds: number;
  readonly publicUrl: string | null;
}

export interface EnrollmentSettings extends CertificateSettings {
  readonly enrollment: { readonly requireToken: boolean };
  readonly vendorRoots: { readonly endorsementJudgedAt: 'now' | 'issuance' };
}
