// `edgekeep vendor-root list`: the makers that a hub trusts, until when, and how many devices depend on each.
import { vendorRootList, type VendorRootView } from '@edgekeep/wire/api/vendor-root';
import { type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { table } from '../table.ts';
import { dayText, kindIn, kindOption, knownText } from './kind.ts';

export const command: Command = {
  usage: 'vendor-root list [--kind tpm|dice|idevid]',
  help: `
DEVICES is the number of devices, except retired ones, that depend on the certificate. "known" means that the fingerprint is one of the makers' roots that ship
with Edgekeep.

--kind      only this kind (default: all)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, ...kindOption },
  async run(args) {
    const kind = kindIn(args);
    const operator = await openOperator(args);
    const value = await pagesOf(operator, {
      path: '/v1/vendor-roots',
      query: kind === undefined ? {} : { kind },
      schema: vendorRootList,
      itemsOf: (page) => page.roots,
    });
    const head = ['SHA-256', 'KIND', 'ROLE', 'KNOWN', 'MAKER', 'ENDS', 'DEVICES', 'SUBJECT'];
    return { exitCode: exitCodes.ok, value, text: table([head, ...value.map((each) => rowOf(each, Date.now()))]) };
  },
};

function rowOf(view: VendorRootView, nowMs: number): readonly string[] {
  const { sha256, kind, role, known, maker, notAfter, usedBy, subject } = view;
  const end = notAfter < nowMs ? `${dayText(notAfter)} (ended)` : dayText(notAfter);
  return [sha256.slice(0, 16), kind, role, knownText(known), maker, end, String(usedBy), subject];
}
