// The makers that a hub trusts, for the doctor: from the hub itself, from a file that `enroll kit` put beside the agent's settings, or from
// makers' certificates in local files.
import { counted } from '@edgekeep/core/counted';
import { parseBase64 } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import type { EndorsementTime } from '@edgekeep/core/identity/endorsement';
import { signsItself } from '@edgekeep/core/identity/maker-authority';
import { readCertificateFiles } from '@edgekeep/wire/file/certificate-files';
import {
  type VendorRootKind,
  type VendorRootTrust,
  vendorRootKinds,
  vendorRootTrust,
} from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import type { Arguments } from '../command.ts';
import { openOperator } from '../operator.ts';
import { type Finding, ok, warning } from '@edgekeep/host/finding';
import { readJson } from '../person-file.ts';

/** The file in a kit: the hub's trusted makers when the kit was made. */
export const kitTrustFileName = 'vendor-roots.json';
const kitTrust = z.array(vendorRootTrust);

export interface MakerTrust {
  readonly judgedAt: EndorsementTime;
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
}

export interface Makers {
  readonly of: Readonly<Record<VendorRootKind, MakerTrust>>;
  readonly findings: readonly Finding[];
}

const nobody: MakerTrust = { judgedAt: 'now', anchors: [], intermediates: [] };

/** Undefined when no source was named: then nothing can be judged. */
export async function readMakers(args: Pick<Arguments, 'all' | 'option'>): Promise<Makers | undefined> {
  const paths = args.all('vendor-roots');
  const asked = args.option('operator') === undefined ? [] : await askHub(args);
  if (paths.length === 0 && asked.length === 0) return undefined;
  const kits = paths.filter((path) => path.endsWith('.json'));
  const told = await Promise.all(kits.map(async (path) => readJson(path, kitTrust)));
  const files = await readCertificateFiles(paths.filter((path) => !path.endsWith('.json')));
  const loose = files.flatMap(({ certificates }) => certificates);
  const all = [...asked, ...told.flat()];
  const trustOf = (kind: VendorRootKind): MakerTrust => {
    const own = all.filter((each) => each.kind === kind);
    const parsed = (texts: readonly string[]) =>
      texts.map((text) => parseForeignCertificate(parseBase64(text, 'certificate')));
    return {
      judgedAt: own.some(({ judgedAt }) => judgedAt === 'issuance') ? 'issuance' : nobody.judgedAt,
      anchors: [...own.flatMap(({ anchors }) => parsed(anchors)), ...loose.filter(signsItself)],
      intermediates: [
        ...own.flatMap(({ intermediates }) => parsed(intermediates)),
        ...loose.filter((certificate) => !signsItself(certificate)),
      ],
    };
  };
  const of = { tpm: trustOf('tpm'), dice: trustOf('dice'), idevid: trustOf('idevid') };
  const problems = files.flatMap((file) => file.problems);
  return { of, findings: [countsOf(of), ...problems.map((problem) => unreadable(problem))] };
}

async function askHub(args: Pick<Arguments, 'option'>): Promise<readonly VendorRootTrust[]> {
  const operator = await openOperator(args);
  return Promise.all(
    vendorRootKinds.map((kind) => operator.get(`/v1/vendor-roots/trust?kind=${kind}`, vendorRootTrust)),
  );
}

function countsOf(of: Makers['of']): Finding {
  const text = vendorRootKinds
    .map(
      (kind) =>
        `${kind} ${counted(of[kind].anchors.length, 'root')} and ${counted(of[kind].intermediates.length, 'intermediate')}`,
    )
    .join(', ');
  return ok("makers' roots", text);
}

function unreadable(problem: string): Finding {
  return warning(
    "makers' roots",
    `skipped ${problem}`,
    'the hub skips or refuses it as well: correct or remove the file',
  );
}
