// Which root of trust this machine offers: a TPM, who made it, whether its maker vouches for it; or the simulator for trying things out.
import { access, constants } from 'node:fs/promises';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { readIdevid } from '@edgekeep/core/identity/idevid';
import { HardwareError } from '@edgekeep/hardware/error';
import type { TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { findTool } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import type { TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { type Finding, missing, ok, warning } from './finding.ts';

const firmwareHint = 'enable the TPM in the firmware, or go on with the software root of trust, the lowest tier';

export async function examineTpm(address: TpmAddress): Promise<readonly Finding[]> {
  const obstacle = address.kind === 'device' ? await deviceObstacle(address.path) : undefined;
  if (obstacle !== undefined) return [obstacle];
  try {
    await using device = await TpmRootOfTrust.open(address);
    return [...describeTpm(await device.describe()), ...(await describeIdevid(device))];
  } catch (error) {
    if (!(error instanceof HardwareError)) throw error;
    return [warning('TPM', error.message, 'see that no other program holds it; a power cycle clears a failing TPM')];
  }
}

async function deviceObstacle(path: string): Promise<Finding | undefined> {
  if (!(await permits(path, constants.F_OK))) return missing('TPM', `no ${path}`, firmwareHint);
  if (await permits(path, constants.R_OK | constants.W_OK)) return undefined;
  return warning(
    'TPM',
    `${path} is there, but not for this user`,
    'add the user to the group of the device, often `tss`',
  );
}

async function permits(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function describeTpm(identity: TpmIdentity): readonly Finding[] {
  const { manufacturer, firmwareVersion, endorsementKey } = identity;
  const version = firmwareVersion.toString(16).padStart(16, '0');
  const certificate = endorsementKey.certificate;
  return [
    ok('TPM', `made by ${manufacturer}, firmware ${version}`),
    certificate === undefined
      ? warning(
          'EK certificate',
          `none for the ${endorsementKey.kind} endorsement key`,
          'fetch it from the manufacturer, or register the key itself at the hub',
        )
      : ok('EK certificate', `${certificate.length} bytes, for the ${endorsementKey.kind} endorsement key`),
  ];
}

// Most machines have none, and nothing is wrong with that.
async function describeIdevid(device: TpmRootOfTrust): Promise<readonly Finding[]> {
  const [leaf] = (await device.idevid())?.chain ?? [];
  if (leaf === undefined) return [];
  const read = readIdevid(parseForeignCertificate(leaf));
  if (read.kind === 'refused') {
    const problems = read.reasons.map(({ message }) => message).join('; ');
    return [warning('IDevID', problems, 'a hub will refuse it: docs/manufacturing.md')];
  }
  const { serialNumber, certificate } = read.idevid;
  return [ok('IDevID', `serial number ${serialNumber}, by ${nameText(certificate.issuer)}`)];
}

export async function examineSimulator(): Promise<Finding> {
  const tools = ['swtpm', 'swtpm_setup', 'swtpm_localca'];
  const found = await Promise.all(tools.map(findTool));
  const lacking = tools.filter((_, index) => found[index] === undefined);
  if (lacking.length === 0) return ok('TPM simulator', 'swtpm and its tools');
  return missing(
    'TPM simulator',
    `no ${lacking.join(', ')}`,
    'apt install swtpm swtpm-tools (demonstration and tests only)',
  );
}
