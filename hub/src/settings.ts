// Every setting of the hub with its default and unit (a test compares docs/settings.md with this list). `hub.json` in the data folder holds
// the values that differ. Unknown names are refused, so that a misspelt safety setting is not ignored.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { isTrustDomain } from '@edgekeep/core/identity/spiffe-id';
import { parseJson } from '@edgekeep/core/json';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { hostNameSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';
import { settingsByPresentNames } from '@edgekeep/wire/former-name';
import { HubError } from './common/error.ts';
import { formerHubSettings } from './common/former-settings.ts';

const listener = (port: number) =>
  z.strictObject({
    /** Address to listen on; loopback by default. */
    host: z.string().default('127.0.0.1'),
    /** TCP port; 0 takes a free one. */
    port: z.int().min(0).max(65_535).default(port),
  });

export const hubSettingsSchema = z.strictObject({
  /** Where devices connect (mutual TLS 1.3). */
  device: listener(8443).prefault({}),
  /** Where operators and the command line connect (TLS 1.3, API tokens). */
  operator: listener(8444).prefault({}),
  /** DNS names and IP addresses in the hub's own certificate. */
  names: z.array(hostNameSchema).min(1).max(20).prefault(['localhost', '127.0.0.1']),
  /** The public address of `/crl` and `/ocsp`, written into certificates; http, because a status request must not need a certificate. */
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .max(300)
    .nullable()
    .default(null),
  /** The transparency log's origin line (C2SP tlog-checkpoint): a name that no other log uses. */
  logOrigin: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\s+]+$/)
    .default('edgekeep.local/log'),
  /** PCRs of the SHA-256 bank that every quote must cover. 16 and 23 can be reset at will and prove nothing. */
  pcrs: z.array(z.int().min(0).max(15)).min(1).default([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]),
  attestation: z
    .strictObject({
      /** PCRs that reference values must cover for a boot to be affirmed. New hubs have 14, where the agent measures its stages. */
      coveredPcrs: z.array(z.int().min(0).max(15)).max(16).default([]),
    })
    .prefault({}),
  /** How long a challenge may be answered, in seconds. */
  challengeSeconds: z.int().min(1).max(600).default(60),
  /** Life of a device's operational certificate, in seconds. */
  certificateSeconds: z.int().min(60).max(31_536_000).default(604_800),
  /** Life of a key lease, in seconds. */
  leaseSeconds: z.int().min(5).max(2_592_000).default(3_600),
  lease: z
    .strictObject({
      /** Who ends a lease on a device with a TPM: the TPM itself, or only the agent. */
      enforcedBy: z.enum(['tpm', 'agent']).default('tpm'),
      /** How many keys of one model one device may get in a window, in addition to those for its renewals. */
      maxPerWindow: z.int().min(1).max(1_000_000).default(30),
      /** The length of that window, in seconds. */
      windowSeconds: z.int().min(10).max(604_800).default(3_600),
    })
    .prefault({}),
  revocation: z
    .strictObject({
      /** How often a hub node reads revocations from the store, in milliseconds. */
      pollMilliseconds: z.int().min(10).max(1_000).default(250),
      /** From one certificate revocation list to its next update, in seconds. */
      crlSeconds: z.int().min(60).max(2_592_000).default(86_400),
      /** How long an OCSP response is valid, in seconds. */
      ocspSeconds: z.int().min(60).max(604_800).default(3_600),
    })
    .prefault({}),
  /** How long before the end of a certificate there is a warning, in days; a sixth of its life where that is shorter. */
  expiryWarningDays: z.int().min(1).max(3_650).default(90),
  authorities: z
    .strictObject({
      /** How long an old root stays trusted after a new one came into use, in days. */
      overlapDays: z.int().min(0).max(3_650).default(90),
      /** How long before the end of a root, an issuing CA or a certificate of the hub an alarm is raised, in days. */
      alarmDays: z.array(z.int().min(1).max(3_650)).max(16).default([180, 90, 30, 14, 7, 1]),
      /** How often a hub node checks its authorities and certificates, in seconds. */
      checkSeconds: z.int().min(1).max(3_600).default(60),
    })
    .prefault({}),
  enrollment: z
    .strictObject({
      /** Ask every device for a one-time enrollment token. With false, any TPM with a certificate of a vendor root may register. */
      requireToken: z.boolean().default(true),
    })
    .prefault({}),
  vendorRoots: z
    .strictObject({
      /** The time at which the path of an endorsement certificate is judged: 'now', or 'issuance', when its maker certified the key. */
      endorsementJudgedAt: z.enum(['now', 'issuance']).default('now'),
      /** A file in vendor-roots/, dice-roots/ or idevid-roots/ that cannot be read: 'skip' it with a warning, or 'refuse' to start. */
      onUnreadable: z.enum(['skip', 'refuse']).default('skip'),
    })
    .prefault({}),
  witness: z
    .strictObject({
      /** How many devices must have cosigned a checkpoint for it to count as witnessed. */
      quorum: z.int().min(0).max(1_000).default(1),
      /** How long one checkpoint waits for its quorum before the next is offered, in seconds. */
      roundSeconds: z.int().min(1).max(86_400).default(60),
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
      /** The same for each address without a token that was accepted here before. */
      maxTokenRequestsPerSecond: z.number().min(0.1).max(100_000).default(100),
      /** Milliseconds of the hub's work per second that these requests may take, on average. */
      maxTokenMillisecondsPerSecond: z.int().min(1).max(1_000_000).default(200),
      /** The same for each address without a token that was accepted here before. */
      maxAddressRequestsPerSecond: z.number().min(0.1).max(100_000).default(100),
      /** How long a streamed upload or import may stay below the minimum rate before it is cut, in seconds. */
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
  identity: z
    .strictObject({
      /** One identity in use in two places: the first continues and the second is refused, or both are held until an operator decides. */
      concurrentSessions: z.enum(['keep-first', 'hold-both']).default('keep-first'),
      /** How long a place must be silent before another replaces it when no hardware proves that it is the same device, in seconds. */
      silentSeconds: z.int().min(5).max(86_400).default(120),
      /** Whether a device token is also bound to one address. */
      tokensBoundToAddress: z.boolean().default(true),
      /** The action, besides the alert, when a client shows an operational key without its root of trust. */
      onClone: z.enum(['alert', 'revoke', 'quarantine']).default('alert'),
    })
    .prefault({}),
  deviceTokens: z
    .strictObject({
      /** How far a token's time may be from the hub's clock, in seconds (spec/device-token.md). */
      windowSeconds: z.int().min(1).max(3_600).default(300),
    })
    .prefault({}),
  access: z
    .strictObject({
      /** Whether root operations need two people: 'auto' once two have held the scope admin, 'on' from the first day, 'off' never. */
      twoPeople: z.enum(['auto', 'on', 'off']).default('auto'),
      /** How long a request waits for its second person, in seconds. */
      approvalSeconds: z.int().min(60).max(604_800).default(3_600),
      /** How many devices or certificates one person may revoke in one request. */
      maxRevokedAlone: z.int().min(0).max(10_000).default(100),
      /** The longest life of an enrollment token that one person may make where root operations need two people, in days. */
      enrollmentAloneDays: z.int().min(0).max(365).default(7),
      /** How many decisions of the access policy are kept for testing drafts; 0 keeps none. */
      decisionsKept: z.int().min(0).max(1_000_000).default(10_000),
      /** How often the policy is asked again about live connections, in seconds, where it uses facts that change without a request. */
      recheckSeconds: z.int().min(1).max(3_600).default(10),
    })
    .prefault({}),
  workloads: z
    .strictObject({
      /** The trust domain of SPIFFE IDs: a name that no other domain uses. */
      trustDomain: z
        .string()
        .refine(isTrustDomain, 'expected a-z, 0-9, dot, dash, underscore')
        .default('edgekeep.local'),
      /** Life of a workload's certificate, in seconds. */
      certificateSeconds: z.int().min(60).max(604_800).default(14_400),
    })
    .prefault({}),
  tokens: z
    .strictObject({
      /** The longest life of an API token, in days. */
      maxLifeDays: z.int().min(1).max(365).default(365),
      /** How long the first operator file of a new hub is valid, in hours: until a person has claimed it. */
      bootstrapHours: z.int().min(1).max(8_760).default(24),
    })
    .prefault({}),
  alerts: z
    .strictObject({
      /** How many devices must be unable to use a release before an alert is raised. */
      devicesRefusingRelease: z.int().min(1).max(1_000_000).default(3),
      /** Whether a policy that gives the key of every model to every attested device with a TPM raises an alert. */
      policyGivesAllKeys: z.boolean().default(true),
      /** Whether an alert is raised while reference values need not cover the PCR of the agent's stages (`attestation.coveredPcrs`). */
      stagesNotCovered: z.boolean().default(true),
      /**
       * Whether an alert is raised when a lease is requested from another address than its holder's, or with a proof that took much longer.
       */
      leaseElsewhere: z.boolean().default(true),
      /** How much longer than usual a device's proof may take, in milliseconds; or half as much again, where that is more. */
      proofSlackMilliseconds: z.int().min(1).max(600_000).default(250),
      /** How often in a row a job of the hub may fail without an alert. */
      maxJobFailures: z.int().min(1).max(1_000_000).default(5),
      /** How far a device's clock may differ from the hub's without an alert, in seconds. */
      maxClockSkewSeconds: z.int().min(1).max(31_536_000).default(300),
    })
    .prefault({}),
  /** A program that prints the 32 bytes that unlock the hub's keys: its absolute path and arguments (spec/platform-secrets.md). */
  unlockProgram: z.array(z.string().min(1).max(1_000)).max(32).default([]),
  /** The level of the request log on standard error: 'silent', 'error', 'warn', 'info' or 'debug'. */
  logLevel: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info'),
});

export type HubSettings = z.infer<typeof hubSettingsSchema>;

export const settingsFileName = 'hub.json';

/** Reads `hub.json` in the data folder; a missing file means all defaults. */
export async function readHubSettings(folder: string): Promise<HubSettings> {
  const path = join(folder, settingsFileName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return hubSettingsSchema.parse({});
    throw error;
  }
  // It names programs to run and the location of secrets.
  const why = othersMayWrite(path);
  if (why !== undefined)
    throw new HubError(
      'settings-invalid',
      `${path} is not read: ${why}. It and its folders must be yours or root's, and writable by nobody else`,
    );
  return parseSettingsText(text, path);
}

/** The only parser of `hub.json`: an operator is shown exactly the settings that the hub uses. */
export function parseSettingsText(text: string, what: string): HubSettings {
  let value: unknown;
  try {
    value = parseJson(utf8(text), z.unknown(), what);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('settings-invalid', cause.message, { cause });
  }
  return parseHubSettings(value, what);
}

/** The content to write to `hub.json`: a default that is not in it can be improved by a new version. */
export function encodeHubSettings(settings: HubSettings): string {
  return `${JSON.stringify(differing(settings, hubSettingsSchema.parse({})), null, 2)}\n`;
}

// By group and name; a list counts as one value.
function differing(value: object, defaults: object): object {
  const known = new Map<string, unknown>(Object.entries(defaults));
  const kept = Object.entries(value)
    .filter(([name, each]) => !isDeepStrictEqual(each, known.get(name)))
    .map(([name, each]: [string, unknown]) => {
      const other = known.get(name);
      return [name, isGroup(each) && isGroup(other) ? differing(each, other) : each];
    });
  return Object.fromEntries(kept);
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks settings that did not come from the file. */
export function parseHubSettings(value: unknown, what: string): HubSettings {
  const refuse = (message: string) => new HubError('settings-invalid', message);
  const parsed = hubSettingsSchema.safeParse(settingsByPresentNames(value, formerHubSettings, { where: what, refuse }));
  if (parsed.success) return parsed.data;
  throw new HubError('settings-invalid', `${what}: ${z.prettifyError(parsed.error)}`);
}
