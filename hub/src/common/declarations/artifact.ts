// The error codes and settings of `artifact`.
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { networkContains, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import { webAddressSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';

export const artifactErrorCodes = {
  'artifact-lost': 500,
  'artifacts-refused': 500,
  'artifacts-unreachable': 503,
  'artifacts-busy': 503,
} as const;

const loopback = ['127.0.0.0/8', '::1/128'];

function isOnThisMachine(host: string): boolean {
  const address = parseAddress(host);
  if (address === undefined) return host === 'localhost';
  return loopback.some((text) => {
    const network = parseNetwork(text);
    return network !== undefined && networkContains(network, address);
  });
}

/** What lies in the bucket says which boots and models devices have: in the clear it goes to this machine only. */
const endpoint = webAddressSchema(['http', 'https'], 300).superRefine((text, context) => {
  const { protocol, host, path } = parseWebAddress(text);
  if (path !== '' && path !== '/')
    context.addIssue({ code: 'custom', message: 'expected https://HOST[:PORT]: the bucket is a setting of its own' });
  if (protocol === 'http' && !isOnThisMachine(host))
    context.addIssue({ code: 'custom', message: 'http:// is for this machine only: use https://' });
});

// A name that is a DNS label, and no path.
const bucket = /^(?!\.)(?!.*\.\.)[a-z0-9A-Z._-]{3,63}$/;
const prefix = /^(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)*$/;

const artifacts = z
  .strictObject({
    /** Where sealed files of models lie: in the data folder of this node, or in a bucket that all nodes share. */
    kind: z.enum(['folder', 's3']).default('folder'),
    /** `https://HOST[:PORT]` of the S3 server; null is AWS in the region. */
    endpoint: endpoint.nullable().prefault(null),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'expected a region: small letters, digits and hyphens')
      .default('us-east-1'),
    bucket: z
      .string()
      .refine((text) => text === '' || bucket.test(text), 'expected the name of a bucket')
      .default(''),
    /** Whether the bucket is in the path (`https://HOST/BUCKET/…`) or in the host name (`https://BUCKET.HOST/…`). */
    pathStyle: z.boolean().default(true),
    /** What the key of every object begins with: folders, each with its slash. */
    prefix: z.string().max(200).regex(prefix, 'expected folders, each with a slash behind it, or nothing').default(''),
    accessKeyId: z
      .string()
      .regex(/^[\x21-\x2b\x2d-\x2e\x30-\x3c\x3e-\x7e]{0,200}$/, 'expected the id of an access key')
      .default(''),
    /** A file with the secret, for its owner alone; without one it is the environment variable `EDGEKEEP_ARTIFACTS_SECRET`. */
    secretFile: z.string().min(1).max(4_096).nullable().default(null),
    /** CA certificates (PEM) that the server's must end at, in place of those of Node. */
    caFile: z.string().min(1).max(4_096).nullable().default(null),
    /** Requests to the bucket at once; others wait in line. */
    maxConnections: z.int().min(1).max(1_000).default(32),
  })
  .superRefine(({ kind, bucket: name, accessKeyId }, context) => {
    if (kind !== 's3') return;
    const missing = (path: string) =>
      context.addIssue({ code: 'custom', path: [path], message: 'is needed with kind s3' });
    if (name === '') missing('bucket');
    if (accessKeyId === '') missing('accessKeyId');
  });

export const artifactSettings = { artifacts: artifacts.prefault({}) };
