// The texts of both OpenAPI documents: what each listener is, how callers prove who they are, and the subjects of the operations.
import type { Listener } from './answers.ts';

interface ApiText {
  readonly title: string;
  readonly description: string;
  /** The default port. */
  readonly port: string;
}

const evolution =
  'A later version may add members to answers: ignore those that you do not know. Every refusal has one form, and its code is one of a closed list.';

export const apiTexts: Readonly<Record<Listener, ApiText>> = {
  operator: {
    title: 'Edgekeep operator API',
    description: `Devices, models, policy and audit of one hub, over TLS 1.3. Send an API token as a bearer token. A root operation is answered with 202 while it waits for a second person. ${evolution}`,
    port: '8444',
  },
  device: {
    title: 'Edgekeep device API',
    description: `What devices and their workloads ask their hub, over TLS 1.3. A connection shows an operational certificate, and is bound by evidence of its root of trust before most requests: spec/api.md has their order. ${evolution}`,
    port: '8443',
  },
};

export const securitySchemes: Readonly<Record<Listener, object>> = {
  operator: {
    token: { type: 'http', scheme: 'bearer', description: 'An API token with the scope that the operation names.' },
  },
  device: {
    deviceCertificate: { type: 'mutualTLS', description: 'The operational certificate of a device.' },
    enrollmentToken: { type: 'http', scheme: 'basic', description: 'The device id and an enrollment token (EST).' },
    deviceToken: {
      type: 'apiKey',
      in: 'header',
      name: 'Authorization',
      description: '`Device ID:SECONDS:MAC` (spec/device-token.md).',
    },
  },
};

interface Tag {
  readonly name: string;
  readonly description: string;
}

const tagOfSegment: Readonly<Record<string, string>> = {
  alerts: 'alerts',
  approvals: 'approvals',
  attest: 'evidence',
  audit: 'audit',
  authorities: 'authorities',
  bind: 'evidence',
  'blocked-addresses': 'addresses',
  'blocked-roots': 'enrollment',
  certificates: 'certificates',
  challenges: 'evidence',
  checkpoint: 'audit',
  claim: 'people',
  cosignatures: 'audit',
  countries: 'policy',
  crl: 'revocation',
  devices: 'devices',
  enroll: 'enrollment',
  'enrollment-groups': 'enrollment',
  'enrollment-tokens': 'enrollment',
  est: 'enrollment',
  'event-cursors': 'events',
  events: 'events',
  'expected-devices': 'enrollment',
  expiry: 'certificates',
  groups: 'groups',
  healthz: 'hub',
  hub: 'hub',
  'hybrid-key': 'enrollment',
  'ima-log': 'evidence',
  'ima-policies': 'reference values',
  jobs: 'hub',
  join: 'hub',
  leases: 'audit',
  log: 'audit',
  metrics: 'hub',
  models: 'models',
  nodes: 'hub',
  ocsp: 'revocation',
  people: 'people',
  'platform-key': 'hub',
  policy: 'policy',
  'post-quantum': 'policy',
  publishers: 'models',
  readyz: 'hub',
  receipts: 'audit',
  recover: 'enrollment',
  'state-recovery': 'enrollment',
  'reference-values': 'reference values',
  releases: 'models',
  renew: 'enrollment',
  reports: 'devices',
  sites: 'sites',
  token: 'devices',
  'token-devices': 'devices',
  tokens: 'people',
  trust: 'audit',
  'vendor-roots': 'vendor roots',
  webhooks: 'events',
  whoami: 'devices',
  'witness-policy': 'audit',
  'public-witnesses': 'audit',
  workloads: 'workloads',
};

export const tags: readonly Tag[] = [
  { name: 'addresses', description: 'Networks that may not connect.' },
  { name: 'alerts', description: 'What a person should look at.' },
  { name: 'approvals', description: 'Root operations that wait for a second person.' },
  { name: 'audit', description: 'The log, its proofs, witnesses, leases and receipts.' },
  { name: 'authorities', description: 'Roots, issuing CAs and the signing keys of the hub.' },
  { name: 'certificates', description: 'Certificates of devices and workloads, and their ends.' },
  { name: 'devices', description: 'Devices, their states, tags and attributes.' },
  { name: 'enrollment', description: 'Who becomes a device, and with what.' },
  { name: 'events', description: 'What happened, and who learns of it.' },
  { name: 'evidence', description: 'Proofs of a root of trust and of the boot.' },
  { name: 'groups', description: 'Groups of devices.' },
  { name: 'hub', description: 'The hub itself.' },
  { name: 'models', description: 'Models, their releases and publishers.' },
  { name: 'people', description: 'People and API tokens.' },
  { name: 'policy', description: 'Who may do what.' },
  { name: 'reference values', description: 'The boots and files that are expected.' },
  { name: 'revocation', description: 'Revocation lists and OCSP.' },
  { name: 'sites', description: 'Where devices are.' },
  { name: 'vendor roots', description: 'Trusted makers of hardware.' },
  { name: 'workloads', description: 'Programs on devices.' },
];

/** The subject of a route: by the first segment of its address. */
export function tagOf(url: string): string {
  const segment = url.replace(/^\/(?:v1|\.well-known)\//, '/').split('/')[1] ?? '';
  const tag = tagOfSegment[segment];
  if (tag === undefined) throw new TypeError(`${url} has no subject: see tagOfSegment in doors/openapi/texts.ts`);
  return tag;
}
