// One maker's certificate as the store keeps it (spec/vendor-roots.md, "Roles").
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { makerOf, signsItself } from '@edgekeep/core/identity/maker-authority';
import { printable } from '@edgekeep/core/canonical/printable';
import type { VendorRootKind, VendorRootRole } from '@edgekeep/wire/api/vendor-root';
import { sha256Hex } from '@edgekeep/core/digest';
import type { VendorRootRow } from '../store/tables/vendor-root.ts';

export interface NewVendorRoot {
  readonly kind: VendorRootKind;
  readonly certificate: Certificate;
  readonly anchor: boolean;
  readonly source: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** The row of a certificate. Ask `authorityProblem` first. */
export function vendorRootRow({ kind, certificate, anchor, source, actor, nowMs }: NewVendorRoot): VendorRootRow {
  const sha256 = sha256Hex(certificate.der);
  return {
    kind,
    sha256,
    spki_sha256: sha256Hex(certificate.spki),
    role: roleOf(certificate, anchor),
    maker: makerOf(certificate),
    subject: printable(nameText(certificate.subject)),
    issuer: printable(nameText(certificate.issuer)),
    not_before: certificate.notBeforeSeconds * 1_000,
    not_after: certificate.notAfterSeconds * 1_000,
    der: certificate.der,
    source: printable(source),
    added_at: nowMs,
    added_by: actor,
    removed_at: null,
  };
}

function roleOf(certificate: Certificate, anchor: boolean): VendorRootRole {
  if (signsItself(certificate)) return 'root';
  return anchor ? 'anchor' : 'intermediate';
}
