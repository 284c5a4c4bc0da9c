// The root of trust of this machine: a TPM, its maker, whether its maker certified it; or the simulator for trials.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@edgekeep/core/digest';
import { parseJson } from '@edgekeep/core/json';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { z } from 'zod';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { readIdevid, validateIdevid } from '@edgekeep/core/identity/idevid';
import { printable } from '@edgekeep/core/canonical/printable';
import { HardwareError } from '@edgekeep/hardware/error';
import type { TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { findTool } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { type EndorsementKeyKind, endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import type { ClockInfo } from '@edgekeep/core/tpm/attest';
import { type TpmOptions, TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import type { TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { logMissing } from './boot-log.ts';
import { examineEndorsement } from './endorsement.ts';
import { failed, type Finding, missing, ok, warning } from '@edgekeep/host/finding';
import type { Makers, MakerTrust } from './makers.ts';

const run = promisify(execFile);

/** Its finding is the `rootSha256` of an import (spec/registry.md). */
export const rootSubject = 'root of trust';
const spki = { type: 'spki', format: 'der' } as const;

const firmwareHint = 'enable the TPM in the firmware, or continue with the software root of trust, the lowest tier';

export async function examineTpm(
  address: TpmAddress,
  by: {
    readonly makers: Makers['of'] | undefined;
    readonly nowSeconds: number;
    /** Of an agent on this machine. */
    readonly stateFolder: string | undefined;
    /** Whether the firmware's log is looked for elsewhere. */
    readonly looksForLog: boolean;
  } & Pick<TpmOptions, 'endorsementPasswordFile' | 'ownerPasswordFile'>,
): Promise<readonly Finding[]> {
  const { makers, nowSeconds, stateFolder, looksForLog, ...passwords } = by;
  try {
    await using device = await TpmRootOfTrust.open(address, passwords);
    const condition = await device.condition();
    if (condition.stopping.length > 0) return condition.stopping.map(causeFinding);
    const chosen = await chosenKind(device, stateFolder);
    await device.useEndorsementKey(chosen.kind);
    const described = await device.describe();
    return [
      tpmFinding(described),
      ...condition.lacking.map(lackFinding),
      keysFinding(chosen),
      ok(rootSubject, sha256Hex(publicKeyOf(parsePublic(described.endorsementKey.publicArea)).export(spki))),
      ...(stateFolder === undefined ? [] : [await enrolledFinding(stateFolder, described)]),
      ...(stateFolder === undefined ? [] : await clearedFinding(stateFolder, condition.clock)),
      examineEndorsement(described, makers?.tpm, nowSeconds),
      ...(await describeIdevid(device, makers?.idevid, nowSeconds)),
      ...(!looksForLog && (await isMeasured(device)) ? [logMissing()] : []),
    ];
  } catch (error) {
    if (!(error instanceof HardwareError)) throw error;
    return [causeFinding(error)];
  }
}

async function isMeasured(device: TpmRootOfTrust): Promise<boolean> {
  const values = await device.readPcrs({ bank: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7] });
  return [...values.values()].some((value) => value.some((byte) => byte !== 0));
}

const otherwise = 'is the address right, and does no other program use it? A power cycle clears a failing TPM';

/** What stops an agent here. */
function causeFinding({ code, found, cure }: HardwareError): Finding {
  const text = `${found} (${code})`;
  // A machine without a TPM can still be a device.
  if (code === 'tpm-unreachable') return missing('TPM', text, firmwareHint);
  return failed('TPM', text, cure ?? otherwise);
}

function lackFinding({ code, found, cure }: HardwareError): Finding {
  return warning('TPM', `${found} (${code})`, cure ?? otherwise);
}

const clockSchema = z.object({ resetCount: z.number(), clock: z.string().regex(/^\d{1,20}$/) });

/** Nothing before the agent started once. */
async function clearedFinding(stateFolder: string, now: ClockInfo): Promise<readonly Finding[]> {
  const file = join(stateFolder, 'tpm-clock.json');
  const bytes = await orIfMissing(readFile(file), undefined);
  const enrolled = await orIfMissing(readFile(join(stateFolder, 'enrolled.json')), undefined);
  if (bytes === undefined || enrolled === undefined) return [];
  const last = parseJson(bytes, clockSchema, file);
  const isBehind =
    now.resetCount < last.resetCount || (now.resetCount === last.resetCount && now.clock < BigInt(last.clock));
  if (!isBehind) return [];
  return [
    failed(
      'enrolled TPM',
      `it is at reset ${now.resetCount}, and the agent used it at reset ${last.resetCount}: it was cleared, or set back (tpm-cleared)`,
      '`edgekeep device mark-wiped` at the hub, then enroll with an empty state folder',
    ),
  ];
}

/** An existing file says nothing about its libraries. */
async function runSimulator(program: string): Promise<Finding> {
  try {
    const { stdout } = await run(program, ['--version']);
    return ok('TPM simulator', `swtpm and its tools: ${printable(stdout.split('\n')[0] ?? '', 80)}`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return warning(
      'TPM simulator',
      `${program} does not run: ${printable(error.message)}`,
      'install it again: apt install --reinstall swtpm',
    );
  }
}

function tpmFinding({ manufacturer, firmwareVersion }: TpmIdentity): Finding {
  return ok('TPM', `made by ${manufacturer}, firmware ${firmwareVersion.toString(16).padStart(16, '0')}`);
}

interface ChosenKind {
  readonly kind: EndorsementKeyKind;
  readonly certified: readonly EndorsementKeyKind[];
  readonly why: string;
}

/** As an agent with default settings chooses. */
async function chosenKind(device: TpmRootOfTrust, stateFolder: string | undefined): Promise<ChosenKind> {
  const certified = await device.certifiedKinds();
  const file = stateFolder === undefined ? undefined : join(stateFolder, 'enrolled-tpm.json');
  const bytes = file === undefined ? undefined : await orIfMissing(readFile(file), undefined);
  const enrolled = bytes === undefined ? undefined : parseJson(bytes, enrolledSchema, 'enrolled-tpm.json');
  const kept = endorsementKeyKinds.find((kind) => kind === enrolled?.endorsementKeyKind);
  if (kept !== undefined) return { kind: kept, certified, why: 'the agent enrolled with it' };
  return { kind: certified[0] ?? 'rsa-2048', certified, why: 'an agent that enrolls uses it' };
}

function keysFinding({ kind, certified, why }: ChosenKind): Finding {
  const shown = certified.length === 0 ? 'none with a certificate' : `certified: ${certified.join(', ')}`;
  return ok('endorsement keys', `${shown}; ${kind}: ${why}`);
}

const enrolledSchema = z.object({ endorsementKeyKind: z.string(), endorsementKeySha256: z.string() });

/** What the agent found at its enrollment (spec/agent.md, "The TPM of a device"); it compares the same at each start. */
async function enrolledFinding(stateFolder: string, { endorsementKey }: TpmIdentity): Promise<Finding> {
  const file = join(stateFolder, 'enrolled-tpm.json');
  const bytes = await orIfMissing(readFile(file), undefined);
  if (bytes === undefined) return ok('enrolled TPM', 'the agent has not enrolled with a TPM yet');
  const { endorsementKeyKind: kind, endorsementKeySha256: digest } = parseJson(bytes, enrolledSchema, file);
  if (kind !== endorsementKey.kind)
    return ok(
      'enrolled TPM',
      `the agent enrolled with the ${kind} endorsement key; this line compares ${endorsementKey.kind} ones`,
    );
  if (digest === sha256Hex(endorsementKey.publicArea)) return ok('enrolled TPM', 'the agent enrolled with this TPM');
  return warning(
    'enrolled TPM',
    `the agent enrolled with another TPM: endorsement key ${digest.slice(0, 16)}…, and does not start here (tpm-differs)`,
    'put the disk back into its machine; after a repair: `edgekeep device mark-wiped` and `replace-root`, then enroll with an empty state folder',
  );
}

// Most machines have none, which is no problem.
async function describeIdevid(
  device: TpmRootOfTrust,
  trust: MakerTrust | undefined,
  nowSeconds: number,
): Promise<readonly Finding[]> {
  const chain = (await device.idevid())?.chain ?? [];
  if (chain.length === 0) return [];
  try {
    const [leaf, ...intermediates] = chain.map((der) => parseForeignCertificate(der));
    return leaf === undefined ? [] : [judgeIdevid(leaf, intermediates, trust, nowSeconds)];
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return [warning('IDevID', error.message, refusedIdevid)];
  }
}

const refusedIdevid = 'a hub will refuse it: docs/manufacturing.md';

/** Without roots only its form is checked. */
function judgeIdevid(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  trust: MakerTrust | undefined,
  nowSeconds: number,
): Finding {
  const read = readIdevid(leaf);
  if (read.kind === 'refused')
    return warning('IDevID', read.reasons.map(({ message }) => message).join('; '), refusedIdevid);
  const { serialNumber, certificate } = read.idevid;
  const shown = `serial number ${serialNumber}, by ${nameText(certificate.issuer)}`;
  if (trust === undefined || trust.anchors.length === 0) return ok('IDevID', `${shown}; its maker was not judged`);
  const { anchors, intermediates: known } = trust;
  const verdict = validateIdevid({ leaf, intermediates, known, anchors, atSeconds: nowSeconds });
  if (verdict.kind === 'valid') return ok('IDevID', `${shown}; valid under the given roots`);
  const reasons = verdict.reasons.map(({ message }) => message).join('; ');
  const next = 'an enrollment group with its CA, or edgekeep vendor-root import --kind idevid, at the hub';
  return warning('IDevID', `${shown}; under the given roots it is refused: ${reasons}`, next);
}

export async function examineSimulator(): Promise<Finding> {
  const tools = ['swtpm', 'swtpm_setup', 'swtpm_localca'];
  const found = await Promise.all(tools.map(findTool));
  const lacking = tools.filter((_, index) => found[index] === undefined);
  if (lacking.length === 0) return runSimulator(found[0] ?? 'swtpm');
  return missing(
    'TPM simulator',
    `no ${lacking.join(', ')}`,
    'apt install swtpm swtpm-tools (demonstration and tests only)',
  );
}
