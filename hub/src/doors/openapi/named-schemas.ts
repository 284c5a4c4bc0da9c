// The names of the messages of both APIs, as the OpenAPI documents use them: each schema that a file of wire/src/api exports, under its own
// name.
import { z } from 'zod';
import * as access from '@edgekeep/wire/api/access';
import * as address from '@edgekeep/wire/api/address';
import * as admission from '@edgekeep/wire/api/admission';
import * as alert from '@edgekeep/wire/api/alert';
import * as approval from '@edgekeep/wire/api/approval';
import * as attest from '@edgekeep/wire/api/attest';
import * as attributes from '@edgekeep/wire/api/attributes';
import * as audit from '@edgekeep/wire/api/audit';
import * as authority from '@edgekeep/wire/api/authority';
import * as bytes from '@edgekeep/wire/api/bytes';
import * as deviceView from '@edgekeep/wire/api/device-view';
import * as device from '@edgekeep/wire/api/device';
import * as enrollmentGroup from '@edgekeep/wire/api/enrollment-group';
import * as enrollmentToken from '@edgekeep/wire/api/enrollment-token';
import * as enrollment from '@edgekeep/wire/api/enrollment';
import * as errorResponse from '@edgekeep/wire/api/error-response';
import * as event from '@edgekeep/wire/api/event';
import * as guardReport from '@edgekeep/wire/api/guard-report';
import * as health from '@edgekeep/wire/api/health';
import * as hub from '@edgekeep/wire/api/hub';
import * as hybridKey from '@edgekeep/wire/api/hybrid-key';
import * as imaPolicy from '@edgekeep/wire/api/ima-policy';
import * as job from '@edgekeep/wire/api/job';
import * as modelRelease from '@edgekeep/wire/api/model-release';
import * as modelReport from '@edgekeep/wire/api/model-report';
import * as model from '@edgekeep/wire/api/model';
import * as node from '@edgekeep/wire/api/node';
import * as people from '@edgekeep/wire/api/people';
import * as platformKey from '@edgekeep/wire/api/platform-key';
import * as policy from '@edgekeep/wire/api/policy';
import * as postQuantum from '@edgekeep/wire/api/post-quantum';
import * as publisher from '@edgekeep/wire/api/publisher';
import * as referenceValues from '@edgekeep/wire/api/reference-values';
import * as registry from '@edgekeep/wire/api/registry';
import * as report from '@edgekeep/wire/api/report';
import * as revocation from '@edgekeep/wire/api/revocation';
import * as site from '@edgekeep/wire/api/site';
import * as stateRecovery from '@edgekeep/wire/api/state-recovery';
import * as texts from '@edgekeep/wire/api/texts';
import * as tokenDevice from '@edgekeep/wire/api/token-device';
import * as vendorRoot from '@edgekeep/wire/api/vendor-root';
import * as webhook from '@edgekeep/wire/api/webhook';
import * as words from '@edgekeep/wire/api/words';
import * as workload from '@edgekeep/wire/api/workload';

const files: readonly Readonly<Record<string, unknown>>[] = [
  access,
  address,
  admission,
  alert,
  approval,
  attest,
  attributes,
  audit,
  authority,
  bytes,
  deviceView,
  device,
  enrollmentGroup,
  enrollmentToken,
  enrollment,
  errorResponse,
  event,
  guardReport,
  health,
  hub,
  hybridKey,
  imaPolicy,
  job,
  modelRelease,
  modelReport,
  model,
  node,
  people,
  platformKey,
  policy,
  postQuantum,
  publisher,
  referenceValues,
  registry,
  report,
  revocation,
  site,
  stateRecovery,
  texts,
  tokenDevice,
  vendorRoot,
  webhook,
  words,
  workload,
];

/** Each schema with its name. */
export const namedSchemas: ReadonlyMap<z.ZodType, string> = new Map(files.flatMap(named));

function named(file: Readonly<Record<string, unknown>>): [z.ZodType, string][] {
  return Object.entries(file).flatMap(([name, schema]): [z.ZodType, string][] =>
    schema instanceof z.ZodType ? [[schema, `${name.charAt(0).toUpperCase()}${name.slice(1)}`]] : [],
  );
}
