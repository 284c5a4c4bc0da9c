// Joins what each subject declares: its error codes, its scopes and its settings. Two subjects with one name for an entry do not pass
// tests/house.test.ts.
import { accessErrorCodes, accessScopes, accessSettings } from './declarations/access.ts';
import { alertScopes, alertSettings } from './declarations/alert.ts';
import { artifactErrorCodes, artifactSettings } from './declarations/artifact.ts';
import { attestErrorCodes, attestSettings } from './declarations/attest.ts';
import { auditErrorCodes, auditScopes, auditSettings } from './declarations/audit.ts';
import { authorityErrorCodes, authoritySettings } from './declarations/authority.ts';
import { commonErrorCodes } from './declarations/common.ts';
import { doorsErrorCodes, doorsSettings } from './declarations/doors.ts';
import { enrollmentErrorCodes, enrollmentScopes, enrollmentSettings } from './declarations/enrollment.ts';
import { eventScopes, eventSettings } from './declarations/event.ts';
import { healthScopes } from './declarations/health.ts';
import { modelErrorCodes, modelScopes } from './declarations/model.ts';
import { nodeErrorCodes, nodeSettings } from './declarations/node.ts';
import { peopleErrorCodes, peopleScopes, peopleSettings } from './declarations/people.ts';
import { presenceErrorCodes, presenceSettings } from './declarations/presence.ts';
import { publisherErrorCodes } from './declarations/publisher.ts';
import { registryErrorCodes, registryScopes } from './declarations/registry.ts';
import { respondErrorCodes } from './declarations/respond.ts';
import { revocationErrorCodes, revocationSettings } from './declarations/revocation.ts';
import { secretsErrorCodes, secretsSettings } from './declarations/secrets.ts';
import { storeErrorCodes, storeSettings } from './declarations/store.ts';
import { syslogSettings } from './declarations/syslog.ts';
import { vendorRootErrorCodes, vendorRootSettings } from './declarations/vendor-root.ts';
import { webhookSettings } from './declarations/webhook.ts';
import { workloadErrorCodes, workloadSettings } from './declarations/workload.ts';

/** Every error code with its HTTP status, which is part of the contract (spec/api.md); explained in docs/errors.md. */
export const hubErrorCodes = {
  ...accessErrorCodes,
  ...artifactErrorCodes,
  ...attestErrorCodes,
  ...auditErrorCodes,
  ...authorityErrorCodes,
  ...commonErrorCodes,
  ...doorsErrorCodes,
  ...enrollmentErrorCodes,
  ...modelErrorCodes,
  ...nodeErrorCodes,
  ...peopleErrorCodes,
  ...presenceErrorCodes,
  ...publisherErrorCodes,
  ...registryErrorCodes,
  ...respondErrorCodes,
  ...revocationErrorCodes,
  ...secretsErrorCodes,
  ...storeErrorCodes,
  ...vendorRootErrorCodes,
  ...workloadErrorCodes,
} as const;

/** Every scope of the operator API (spec/operator-access.md). */
export const scopes = [
  ...accessScopes,
  ...alertScopes,
  ...auditScopes,
  ...enrollmentScopes,
  ...eventScopes,
  ...healthScopes,
  ...modelScopes,
  ...peopleScopes,
  ...registryScopes,
] as const;

/** Every setting with its default and unit, explained in docs/settings.md. */
export const hubSettings = {
  ...accessSettings,
  ...alertSettings,
  ...artifactSettings,
  ...attestSettings,
  ...auditSettings,
  ...authoritySettings,
  ...doorsSettings,
  ...enrollmentSettings,
  ...eventSettings,
  ...nodeSettings,
  ...peopleSettings,
  ...presenceSettings,
  ...revocationSettings,
  ...secretsSettings,
  ...storeSettings,
  ...syslogSettings,
  ...vendorRootSettings,
  ...webhookSettings,
  ...workloadSettings,
};
