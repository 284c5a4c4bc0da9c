// `edgekeep vendor-root import`: adds certificates of hardware makers to a hub, from files as makers publish them.
import { toBase64 } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { type CertificateFile, readCertificateFiles } from '@edgekeep/wire/file/certificate-files';
import {
  vendorRootImported,
  VENDOR_ROOT_ORDER_BYTES_MAX,
  VENDOR_ROOTS_IN_ORDER_MAX,
} from '@edgekeep/wire/api/vendor-root';
import type { z } from 'zod';
import { type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';
import { table } from '../table.ts';
import { dayText, kindHelp, kindIn, kindOption, knownText } from './kind.ts';

type Imported = z.infer<typeof vendorRootImported>['certificates'][number];

export const command: Command = {
  usage: 'vendor-root import FILE|FOLDER… [--kind tpm|dice|idevid] [--anchor]',
  help: `
Reads PEM (any number in a file), DER and PKCS#7, also in subfolders, and sends them to the hub, which uses them at once on every node. Unreadable ones are reported, and the
rest is imported; the exit code is then 1. A self-signed certificate becomes a root, where paths may end; any other becomes an intermediate, which is
not trusted alone. "known" means that the fingerprint is one of the makers' roots that ship with Edgekeep; compare an unknown one with its maker's
publication before you import it (docs/vendor-roots.md).

${kindHelp}
--anchor    paths may end at these certificates, although they are not self-signed
${operatorHelp}
`,
  positionals: { min: 1, max: 1_000 },
  options: { ...operatorOption, ...kindOption, anchor: { type: 'boolean' } },
  async run(args) {
    const kind = kindIn(args) ?? 'tpm';
    const files = await readCertificateFiles(args.positionals);
    const skipped = files.flatMap(({ problems }) => problems);
    const operator = await openOperator(args);
    const certificates: Imported[] = [];
    const waiting: string[] = [];
    let added = 0;
    const terms = { kind, anchor: args.flag('anchor'), source: sourceOf(files) };
    // As few requests as possible: each may need a second person.
    for (const part of ordersOf(files.flatMap(({ certificates: own }) => own))) {
      try {
        const order = { ...terms, certificates: part };
        const answer = await operator.send('POST', '/v1/vendor-roots', order, vendorRootImported);
        certificates.push(...answer.certificates);
        added += answer.added;
      } catch (error) {
        if (!(error instanceof HubRefusal) || error.code !== 'approval-required') throw error;
        waiting.push(error.message);
      }
    }
    const value = { kind, added, certificates, skipped, waiting };
    const exitCode = skipped.length + waiting.length === 0 ? exitCodes.ok : exitCodes.refused;
    return { exitCode, value, text: textOf(value) };
  },
};

// Each within the hub's limit for one request.
function ordersOf(certificates: readonly Certificate[]): readonly (readonly string[])[] {
  const orders: string[][] = [];
  let room = 0;
  for (const text of certificates.map(({ der }) => toBase64(der))) {
    const last = orders.at(-1);
    if (last === undefined || last.length === VENDOR_ROOTS_IN_ORDER_MAX || room < text.length + 3) {
      orders.push([text]);
      room = VENDOR_ROOT_ORDER_BYTES_MAX - 2_048 - text.length;
    } else {
      last.push(text);
      room -= text.length + 3;
    }
  }
  return orders;
}

function sourceOf(files: readonly CertificateFile[]): string {
  const paths = files.filter(({ certificates }) => certificates.length > 0).map(({ path }) => path);
  const [first = 'operator'] = paths;
  return paths.length < 2 ? first.slice(-180) : `${first.slice(-160)} and ${paths.length - 1} more files`;
}

function textOf(value: {
  readonly kind: string;
  readonly added: number;
  readonly certificates: readonly Imported[];
  readonly skipped: readonly string[];
  readonly waiting: readonly string[];
}): string {
  const rows = value.certificates.map(({ change, role, known, maker, subject, notAfter }) => [
    change,
    role,
    knownText(known),
    maker,
    dayText(notAfter),
    subject,
  ]);
  const list = rows.length === 0 ? [] : [table([['', 'ROLE', 'KNOWN', 'MAKER', 'ENDS', 'SUBJECT'], ...rows])];
  const skipped = value.skipped.map((problem) => `skipped ${problem}`);
  return [
    ...list,
    ...skipped,
    ...value.waiting,
    `${value.added} added as ${value.kind}, ${rows.length - value.added} were there`,
  ].join('\n');
}
