// A DICE device: what its boot stages passed on, whether it is consistent, and whether it is in memory only.
import { statfs } from 'node:fs/promises';
import { CoreError } from '@edgekeep/core/error';
import { deviceIdPosition, validateDiceChain } from '@edgekeep/core/attest/dice/chain';
import { tcbInfosIn } from '@edgekeep/core/attest/dice/tcb-info';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { printable } from '@edgekeep/core/canonical/printable';
import { readHandoffFolder } from '@edgekeep/hardware/dice/handoff';
import { HardwareError } from '@edgekeep/hardware/error';
import { type Finding, ok, warning } from '@edgekeep/host/finding';
import type { MakerTrust } from './makers.ts';

const subject = 'DICE';
/** tmpfs and ramfs (linux/magic.h): gone when the power is cut. */
const memoryFileSystems: readonly number[] = [0x01021994, 0x858458f6];

/** No findings without a folder: a machine does not show whether it is one. */
export async function examineDice(
  folder: string | undefined,
  trust: MakerTrust | undefined,
  nowSeconds: number,
): Promise<readonly Finding[]> {
  if (folder === undefined) return [];
  try {
    const { chain } = await readHandoffFolder(folder);
    const certificates = chain.map((der) => parseForeignCertificate(der));
    return [describe(certificates), judge(certificates, trust, nowSeconds), await examineFolder(folder)];
  } catch (error) {
    // A handoff that cannot be read, or certificates in it.
    if (!(error instanceof HardwareError || error instanceof CoreError)) throw error;
    return [warning(subject, error.message, 'see docs/dice.md, "What the firmware hands over"')];
  }
}

/** The check that the hub makes of the chain, with its roots. */
function judge(certificates: readonly Certificate[], trust: MakerTrust | undefined, nowSeconds: number): Finding {
  const top = certificates.at(-1);
  const issuer = top === undefined ? 'nobody' : printable(nameText(top.issuer));
  if (trust === undefined) {
    const next = 'to judge it as a hub does: --operator FILE, or --vendor-roots with the roots of the hub';
    return warning('DICE maker', `chain under ${issuer}; not judged, no roots given`, next);
  }
  const verdict = validateDiceChain(certificates, trust, nowSeconds);
  if (verdict.kind === 'valid') return ok('DICE maker', `chain under ${issuer}, valid under the given roots`);
  const reasons = verdict.reasons.map(({ message }) => message).join('; ');
  const next = 'edgekeep vendor-root import --kind dice at the hub, with what the maker publishes';
  return warning('DICE maker', `the hub will refuse it: ${reasons}`, next);
}

function describe(chain: readonly Certificate[]): Finding {
  const at = deviceIdPosition(chain);
  if (at < 1) {
    const found = 'the chain has no DeviceID certificate with a layer above it';
    return warning(subject, found, 'the firmware must put a TcbInfo into the certificate of each layer');
  }
  const layers = chain
    .slice(0, at + 1)
    .filter(({ extensions }) => tcbInfosIn(extensions.all).length > 0)
    .toReversed();
  const shown = layers.map(({ extensions }, place) => {
    const [info] = tcbInfosIn(extensions.all);
    const flags = info?.flags?.named ?? [];
    const state = flags.length === 0 ? '' : ` (${flags.join(', ')})`;
    return `layer ${info?.layer ?? place}: ${info?.model ?? '?'} ${info?.version ?? '?'} svn ${info?.svn ?? '-'}${state}`;
  });
  return ok(subject, shown.join('; '));
}

async function examineFolder(folder: string): Promise<Finding> {
  const { type } = await statfs(folder);
  if (memoryFileSystems.includes(type)) return ok('DICE handoff', `${folder}, in memory`);
  return warning(
    'DICE handoff',
    `${folder} is on a file system that survives a reboot`,
    'the firmware must write to tmpfs: a key on a disk is a key in a backup',
  );
}
