// The error codes and settings of `doors`.
import { addressText, type Network, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import { listenHostSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';

export const doorsErrorCodes = {
  'certificate-required': 401,
  'media-type-unsupported': 415,
  'range-invalid': 416,
  'port-unusable': 500,
} as const;

const listener = (port: number) =>
  z.strictObject({
    /** Address to listen on; loopback by default. `::` is every address of both families. */
    host: listenHostSchema.prefault('127.0.0.1'),
    /** TCP port; 0 takes a free one. */
    port: z.int().min(0).max(65_535).default(port),
    /** A TCP balancer in front of it (spec/proxy-protocol.md). */
    proxyProtocol: z
      .strictObject({
        /** The balancers' own addresses and networks: their connections begin with a header of version 2, and with nothing else. */
        from: z.array(balancerSchema).max(64).prefault([]),
      })
      .prefault({}),
  });

// A wider network would let strangers say which address they have.
const PREFIX_MIN = { 4: 8, 6: 16 } as const;

const balancerSchema = z
  .string()
  .max(64)
  .transform((text, context) => {
    const parsed = text.includes('/') ? parseNetwork(text) : wholeAddress(text);
    if (parsed !== undefined && parsed.prefixLength >= PREFIX_MIN[parsed.family])
      return `${addressText(parsed)}/${parsed.prefixLength}`;
    const message = `expected the address of a balancer, or its network with a prefix of ${PREFIX_MIN[4]} at least (IPv6: ${PREFIX_MIN[6]}), host bits zero`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

function wholeAddress(text: string): Network | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : { ...address, prefixLength: address.family === 4 ? 32 : 128 };
}

export const doorsSettings = {
  /** Where devices connect (mutual TLS 1.3). */
  device: listener(8443).prefault({}),
  /** Where operators and the command line connect (TLS 1.3, API tokens). */
  operator: listener(8444).prefault({}),
  /** EST for gateways that have TLS 1.2 only: a listener of its own, with nothing else on it (spec/est.md, "Gateways with TLS 1.2"). */
  estForGateways: listener(8445)
    .extend({
      /** Opens it. */
      enabled: z.boolean().default(false),
    })
    .prefault({}),
  /** Requests per second that one device may make on average; bursts of ten times as many pass. */
  maxRequestsPerSecond: z.number().min(0.1).max(100_000).default(50),
  /** The same for all connections without a certificate from one address; devices that enroll or restart may share an address. */
  maxAnonymousRequestsPerSecond: z.number().min(0.1).max(100_000).default(1_000),
  admission: z
    .strictObject({
      /** Bytes of bodies per second that one device may send on average; one body of the largest kind passes at once. */
      maxBytesPerSecond: z.int().min(1_024).max(1_000_000_000_000).default(1_048_576),
      /** The same for each address, on each of the two listeners. */
      maxAnonymousBytesPerSecond: z.int().min(1_024).max(1_000_000_000_000).default(8_388_608),
      /** Connections from one address on which no device has proved itself. */
      maxAnonymousConnections: z.int().min(1).max(1_000_000).default(1_024),
      /** Requests per second with the API tokens of one person, on average. */
      maxTokenRequestsPerSecond: z.number().min(0.1).max(100_000).default(100),
      /** Milliseconds of the hub's work per second that these requests may take, on average. */
      maxTokenMillisecondsPerSecond: z.int().min(1).max(1_000_000).default(200),
      /** Requests per second from one address without a token that was accepted here before, on average. */
      maxAddressRequestsPerSecond: z.number().min(0.1).max(100_000).default(100),
      /** Milliseconds of the hub's work per second that the requests of such an address may take, on average. */
      maxAddressMillisecondsPerSecond: z.int().min(1).max(1_000_000).default(100),
      /** Connections from one address to the operator listener. */
      maxOperatorConnections: z.int().min(1).max(1_000_000).default(256),
      /** The number of refused attempts of one network within a minute that raises an alert; 0 raises none. */
      refusalsForAlert: z.int().min(0).max(1_000_000).default(100),
      /** How long a streamed upload or import may stay below the minimum rate before it is cut, in seconds. */
      uploadIdleSeconds: z.int().min(1).max(3_600).default(30),
      /** The minimum rate: bytes per second on average over that time. */
      minUploadBytesPerSecond: z.int().min(1).max(1_000_000_000).default(512),
    })
    .prefault({}),
  /** The level of the request log on standard error: 'silent', 'error', 'warn', 'info' or 'debug'. */
  logLevel: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info'),
};
