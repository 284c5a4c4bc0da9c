// Joins the verbs of every subject; the order is that of the help.
import { addressVerbs } from './address/verbs.ts';
import { alertVerbs } from './alert/verbs.ts';
import { attestVerbs } from './attest/verbs.ts';
import { auditVerbs } from './audit/verbs.ts';
import { authorityVerbs } from './authority/verbs.ts';
import { certificateVerbs } from './certificate/verbs.ts';
import { completionVerbs } from './completion/verbs.ts';
import { deviceVerbs } from './device/verbs.ts';
import { eventVerbs } from './event/verbs.ts';
import { guardVerbs } from './guard/verbs.ts';
import { doctorVerbs } from './doctor/verbs.ts';
import { enrollmentVerbs } from './enrollment/verbs.ts';
import { hubVerbs } from './hub/verbs.ts';
import { imaPolicyVerbs } from './ima-policy/verbs.ts';
import { manufactureVerbs } from './manufacture/verbs.ts';
import { modelVerbs } from './model/verbs.ts';
import { peopleVerbs } from './people/verbs.ts';
import { policyVerbs } from './policy/verbs.ts';
import { receiptVerbs } from './receipt/verbs.ts';
import { referenceVerbs } from './reference/verbs.ts';
import { registryVerbs } from './registry/verbs.ts';
import { rootVerbs } from './root/verbs.ts';
import { siteVerbs } from './site/verbs.ts';
import { vendorRootVerbs } from './vendor-root/verbs.ts';
import { webhookVerbs } from './webhook/verbs.ts';
import { workloadVerbs } from './workload/verbs.ts';
import type { Verbs } from './verb.ts';

export const verbs: Verbs = {
  ...hubVerbs,
  ...deviceVerbs,
  ...enrollmentVerbs,
  ...certificateVerbs,
  ...rootVerbs,
  ...authorityVerbs,
  ...addressVerbs,
  ...registryVerbs,
  ...siteVerbs,
  ...alertVerbs,
  ...eventVerbs,
  ...webhookVerbs,
  ...manufactureVerbs,
  ...vendorRootVerbs,
  ...peopleVerbs,
  ...workloadVerbs,
  ...modelVerbs,
  ...guardVerbs,
  ...referenceVerbs,
  ...imaPolicyVerbs,
  ...policyVerbs,
  ...attestVerbs,
  ...auditVerbs,
  ...receiptVerbs,
  ...doctorVerbs,
  ...completionVerbs,
};
