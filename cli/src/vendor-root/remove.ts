// `edgekeep vendor-root remove`: ends a hub's trust in one certificate of a maker, after it shows what depends on it.
import { counted } from '@edgekeep/core/counted';
import { vendorRootList, vendorRootRemoved } from '@edgekeep/wire/api/vendor-root';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';
import { pagesOf } from '../pages.ts';
import { kindIn, kindOption } from './kind.ts';

export const command: Command = {
  usage: 'vendor-root remove SHA256 --reason TEXT [--kind tpm|dice|idevid] [--force]',
  help: `
While devices depend on it the hub refuses and shows their number. A removed certificate does not return from a file in the hub's folder; import it to
trust it again. Enrolled devices with a TPM keep working; DICE devices are judged at each attestation.

SHA256      of the certificate, or its first characters, as \`vendor-root list\` shows it
--reason    why; recorded in the audit log
--kind      which kind, if a certificate has several
--force     even while devices depend on it
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, ...kindOption, reason: { type: 'string' }, force: { type: 'boolean' } },
  async run(args) {
    const [text = ''] = args.positionals;
    if (!/^[0-9a-f]{8,64}$/.test(text))
      throw new UsageError('SHA256 is 8 to 64 hex digits, as vendor-root list shows it');
    const reason = args.required('reason');
    const operator = await openOperator(args);
    const kind = kindIn(args);
    const found = (await trustedBy(operator)).filter(
      (each) => each.sha256.startsWith(text) && (kind === undefined || each.kind === kind),
    );
    const [one, ...others] = found;
    if (one === undefined)
      throw new HubRefusal(404, 'not-found', `no certificate ${text}: \`edgekeep vendor-root list\` shows them`);
    if (others.length > 0)
      throw new UsageError(
        `${text} is ${found.map((each) => `${each.kind} ${each.sha256}`).join(', ')}: use more digits or --kind`,
      );
    const query = new URLSearchParams({ reason, force: String(args.flag('force')) });
    const path = `/v1/vendor-roots/${one.kind}/${one.sha256}?${query.toString()}`;
    const value = await operator.send('DELETE', path, undefined, vendorRootRemoved);
    const devices = `${counted(value.usedBy, 'device')} depended on it`;
    return { exitCode: exitCodes.ok, value, text: `"${one.subject}" is no longer trusted; ${devices}` };
  },
};

function trustedBy(operator: Operator) {
  return pagesOf(operator, { path: '/v1/vendor-roots', schema: vendorRootList, itemsOf: (page) => page.roots });
}
