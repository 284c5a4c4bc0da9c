// Every setting of the agent with its default and unit (a test compares docs/settings.md with this list). `agent.json` in the state folder
// holds the values that differ. Unknown names are refused, so that a misspelt safety setting is not ignored. Relative paths start at the
// state folder.
import { messageOf } from '@edgekeep/core/message-of';
import { brokenRulesText } from '@edgekeep/core/rule-words';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { deviceIdPattern } from '@edgekeep/core/identity/device-id';
import { workloadNamePattern } from '@edgekeep/core/identity/spiffe-id';
import { parseJson } from '@edgekeep/core/json';
import { personBytes } from '@edgekeep/core/person-text';
import { systemFailureText } from '@edgekeep/host/system-failure';
import { modelNamePattern } from '@edgekeep/core/model/manifest';
import { defaultIdevidLabel, defaultKeyLabels } from '@edgekeep/hardware/pkcs11/token-keys';
import { parseTpmAddress } from '@edgekeep/hardware/tpm/transport';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { hostNameSchema, hostSchema, listenHostSchema } from '@edgekeep/wire/api/texts';
import { proxySettingsSchema } from '@edgekeep/wire/link/proxy/settings';
import { z } from 'zod';
import { settingsByPresentNames } from '@edgekeep/wire/former-name';
import { AgentError } from './error.ts';
import { formerAgentSettings } from './former-settings.ts';

const path = z.string().min(1).max(1_024);
const port = z.int().min(0).max(65_535);
/** Event logs and reference values contain the name of a stage, after "stage ". */
const stageName = z.string().regex(/^[a-z0-9][a-z0-9 ._-]{0,63}$/);

const rootOfTrust = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tpm'),
    /** `device:/dev/tpmrm0`, `unix:PATH` or `tcp:HOST:PORT`. */
    address: z
      .string()
      .refine((text) => parseTpmAddress(text) !== undefined, 'expected device:PATH, unix:PATH or tcp:HOST:PORT')
      .default('device:/dev/tpmrm0'),
    /** The endorsement key that identifies the device; `preferred`: the one that it enrolled with, else the strongest that its maker certified. */
    endorsementKey: z.enum(['preferred', 'rsa-2048', 'p-256', 'p-384']).default('preferred'),
    /** The password of the TPM's endorsement hierarchy, alone on one line of a file that others cannot read; left out: it has none. */
    endorsementPasswordFile: path.optional(),
    /** The same of its owner, for the lease counter. */
    ownerPasswordFile: path.optional(),
  }),
  /** A secure element behind its vendor's PKCS#11 module (docs/secure-elements.md). */
  z.strictObject({
    kind: z.literal('pkcs11'),
    /** The vendor's library. */
    module: path,
    /** The token's label; without label and slot: the only token there is. */
    token: z.string().min(1).max(32).optional(),
    /** CK_SLOT_ID, where a label does not distinguish tokens. */
    slot: z.int().min(0).optional(),
    /** The user PIN, alone on one line of a file that others cannot read. */
    pinFile: path.default('token-pin'),
    /** CKA_LABEL of the keys: where the module maps labels to places in the chip. */
    signingKeyLabel: z.string().min(1).max(64).default(defaultKeyLabels.signing),
    agreementKeyLabel: z.string().min(1).max(64).default(defaultKeyLabels.agreement),
    /** CKA_LABEL of the IDevID's key and certificate. */
    idevidLabel: z.string().min(1).max(64).default(defaultIdevidLabel),
  }),
  /** A chip that composes keys from what it boots (docs/dice.md). */
  z.strictObject({
    kind: z.literal('dice'),
    /** Where an earlier boot stage leaves `chain.pem` and `alias-key.pem`; memory, not a disk. */
    handoffFolder: path.default('/run/dice'),
  }),
  /** Keys in files of the state folder; proves little, and every verdict says so. */
  z.strictObject({ kind: z.literal('software') }),
]);

const model = z.strictObject({
  name: z.string().regex(modelNamePattern),
  /** `guard`: serve predictions. `program`: hold the opened files for `edgekeep model run`. `auto`: as the manifest's files allow. */
  use: z.enum(['auto', 'guard', 'program']).default('auto'),
  /** The socket for predictions; left out: `NAME.sock` in the run folder. */
  socket: path.optional(),
  /** The same on 127.0.0.1 at this TCP port, 0 for a free one; left out: no TCP. */
  loopbackPort: port.optional(),
});

const workload = z.strictObject({
  /** As the hub declares it. */
  name: z.string().regex(workloadNamePattern),
  /** The socket where its program asks for certificates; left out: `workload-NAME.sock` in the run folder. */
  socket: path.optional(),
  /** Who may open it, and so act as the workload: only the agent's user, or its group as well. */
  socketMode: z.enum(['owner', 'group']).default('owner'),
});

const stage = z.strictObject({
  name: stageName,
  /** The folder that was signed. */
  folder: path,
  /** The OMS bundle over it. */
  signature: path,
});

export const agentSettingsSchema = z.strictObject({
  /** Keys, checkpoints and sealed models of this device; only its user can read it. Given on the command line. */
  stateFolder: z.string().refine(isAbsolute, 'expected an absolute path'),
  /** The folder for sockets; left out: `run` in the state folder, or /run/edgekeep where the state folder is not named either. */
  runFolder: path.default('run'),
  deviceId: z.string().regex(deviceIdPattern),
  hub: z.strictObject({
    host: hostSchema,
    /** TCP port of the hub's device listener. */
    port: z.int().min(1).max(65_535).default(8443),
    /** Other nodes of the same hub: the agent begins with one of all at random, and takes another where one is not reached or ends. */
    otherAddresses: z
      .array(z.strictObject({ host: hostSchema, port: z.int().min(1).max(65_535).default(8443) }))
      .max(16)
      .default([]),
    /** The name in the hub's certificate; left out: `host`. */
    serverName: hostNameSchema.optional(),
    /** PEM: the only authorities that may vouch for the hub. */
    caFile: path,
    /** The audit log's verifier key (C2SP vkey): this device verifies the hub's log with it. */
    logKey: z.string().max(4_096),
    /** PEM: the keys that sign attestation results. */
    attestationKeyFiles: z.array(path).min(1).max(16),
  }),
  /** An HTTP proxy on the way to the hub (spec/http-proxy.md); left out: none, also where the environment names one. */
  proxy: proxySettingsSchema.optional(),
  /** Whether this device cosigns the log by ML-DSA-44 as well; the hub learns that key when the device enrolls. */
  postQuantumWitness: z.boolean().default(false),
  /** Holds a one-time enrollment token; removed once the device is enrolled. */
  enrollmentTokenFile: path.default('enrollment-token'),
  rootOfTrust: rootOfTrust.prefault({ kind: 'tpm' }),
  /** PEM: the publishers whose models run here, even if the hub trusts others. */
  publisherKeyFiles: z.array(path).max(64).default([]),
  models: z.array(model).max(32).default([]),
  /** Programs of this device that get their own certificates. */
  workloads: z.array(workload).max(64).default([]),
  measuredStart: z
    .strictObject({
      /** The PCR of the SHA-256 bank that stages are measured into; left out: 14, until the hub's reference values name 15. */
      pcr: z.int().min(8).max(15).optional(),
      /** PEM: the keys that sign stages. */
      keyFiles: z.array(path).max(16).default([]),
      stages: z.array(stage).max(32).default([]),
      /** The firmware's event log; left out: the kernel's for a TPM device, else none. */
      firmwareLogFile: path.optional(),
      /** What systemd measured after the kernel had started; left out: systemd's own log for a TPM device, else none. */
      userspaceLogFile: path.optional(),
      /** The IMA log in its binary form, sent when the hub asks for PCR 10; left out: the kernel's for a TPM device, else none. */
      imaLogFile: path.optional(),
    })
    .prefault({}),
  guard: z
    .strictObject({
      /**
       * The folder with the sockets of guards that systemd runs (deploy/edgekeep-guard@.service); left out: guards are children of the
       * agent.
       */
      unitFolder: path.optional(),
      /** How long a guard may take to show that it runs behind its walls, in seconds. */
      maxProbeSeconds: z.number().min(1).max(3_600).default(60),
      /** How long a guard may take to read and load its model, in seconds. */
      maxReadySeconds: z.number().min(1).max(3_600).default(120),
      /** How long one inference may take, in seconds; a guard that takes longer is killed and started again. */
      maxInferenceSeconds: z.number().min(0.1).max(3_600).default(30),
      /** How much memory one guard may allocate, in MiB; left out: 1024 and four times the size of its model. */
      maxMemoryMebibytes: z.int().min(768).max(1_048_576).optional(),
    })
    .prefault({}),
  /** Evidence for other machines, by TLS at a port of this device (spec/agent.md, "The attestation door"); left out: no such port. */
  attestDoor: z
    .strictObject({
      /** The address to listen on. */
      host: listenHostSchema,
      /** TCP port, 0 for a free one. */
      port: port.default(8446),
      /** PEM: the certificate of this listener, from your own CA, leaf first. */
      certificateFile: path,
      /** PEM: its key, for the agent's user alone. */
      keyFile: path,
    })
    .optional(),
  /** How often the device checks in with the hub, in seconds. */
  checkinSeconds: z.number().min(0.1).max(3_600).default(30),
  /** The longest pause between two attempts to reach the hub, in seconds. */
  maxReconnectSeconds: z.number().min(0.1).max(3_600).default(60),
  local: z
    .strictObject({
      /** Status, receipts and local attestation, for the owner and group; left out: `agent.sock` in the run folder. */
      socket: path.optional(),
      /** Opened models, for the owner alone; left out: `admin.sock` in the run folder. */
      adminSocket: path.optional(),
      /** The status socket's API on 127.0.0.1 at this TCP port, 0 for a free one; left out: no TCP. */
      loopbackPort: port.optional(),
    })
    .prefault({}),
});

export type AgentSettings = z.infer<typeof agentSettingsSchema>;
export type ModelSettings = AgentSettings['models'][number];
/** Settings before their defaults are filled in. */
export type AgentSettingsInput = z.input<typeof agentSettingsSchema>;

const settingsFileName = 'agent.json';

/**
 * Reads the settings file, `agent.json` in the state folder unless another is named. `runFolder` is the one where the file names none. Throws
 * `settings-invalid`.
 */
export async function readAgentSettings(
  stateFolder: string,
  file = join(stateFolder, settingsFileName),
  runFolder?: string,
): Promise<AgentSettings> {
  let value: object;
  try {
    value = parseJson(personBytes(await readFile(file), file), z.looseObject({}), file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      throw new AgentError('settings-invalid', `no ${file}: \`edgekeep enroll kit\` makes it, at the hub`, { cause });
    const message = systemFailureText(cause) ?? messageOf(cause);
    throw new AgentError('settings-invalid', message.includes(file) ? message : `${file}: ${message}`, { cause });
  }
  // It names a library to load (PKCS#11) and the keys that are trusted.
  const why = othersMayWrite(file);
  if (why !== undefined)
    throw new AgentError(
      'settings-invalid',
      `${file} is not read: ${why}. It and its folders must be yours or root's, and writable by nobody else`,
    );
  return parseAgentSettings({ ...(runFolder === undefined ? {} : { runFolder }), ...value, stateFolder }, file);
}

/** Fills in defaults; throws `settings-invalid`, naming the setting. */
export function parseAgentSettings(value: unknown, what = 'agent settings'): AgentSettings {
  const refuse = (message: string) => new AgentError('settings-invalid', message);
  const named = settingsByPresentNames(value, formerAgentSettings, { where: what, refuse });
  const parsed = agentSettingsSchema.safeParse(named);
  if (!parsed.success) throw new AgentError('settings-invalid', `${what}: ${brokenRulesText(parsed.error.issues)}`);
  const names = parsed.data.models.map(({ name }) => name);
  if (new Set(names).size < names.length) throw new AgentError('settings-invalid', `${what}: a model is named twice`);
  const workloads = parsed.data.workloads.map(({ name }) => name);
  if (new Set(workloads).size < workloads.length)
    throw new AgentError('settings-invalid', `${what}: a workload is named twice`);
  return parsed.data;
}
