// `edgekeep certificate list`: the operational certificates that the hub issued.
import { certificateList, type CertificateView } from '@edgekeep/wire/api/revocation';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

const states: readonly string[] = ['any', 'valid', 'revoked', 'ended'];

export const command: Command = {
  usage: 'certificate list [--device ID] [--state any|valid|revoked|ended]',
  help: `
--device    only those of one device
--state     only those that are valid, revoked, or ended (default: any)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, device: { type: 'string' }, state: { type: 'string' } },
  async run(args) {
    const state = args.option('state') ?? 'any';
    if (!states.includes(state)) throw new UsageError(`--state takes one of ${states.join(', ')}`);
    const device = args.option('device');
    const chosen = new URLSearchParams({ state, limit: '1000', ...(device === undefined ? {} : { device }) });
    const operator = await openOperator(args);
    const certificates: CertificateView[] = [];
    for (let after: string | null = ''; after !== null;) {
      chosen.set('after', after);
      const page: { certificates: CertificateView[]; next: string | null } = await operator.get(
        `/v1/certificates?${chosen.toString()}`,
        certificateList,
      );
      certificates.push(...page.certificates);
      after = page.next;
    }
    const rows = certificates.map((one) => [
      one.serial,
      one.workload === null ? one.deviceId : `${one.deviceId}/${one.workload}`,
      timeText(one.notAfter),
      one.revokedAt === null ? '' : `${timeText(one.revokedAt)} ${one.reason ?? ''}`,
    ]);
    const text = listText(
      [['SERIAL', 'DEVICE', 'ENDS (UTC)', 'REVOKED (UTC)'], ...rows],
      '--device and --state choose some',
    );
    return { exitCode: exitCodes.ok, value: certificates, text };
  },
};
