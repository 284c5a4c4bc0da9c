// `edgekeep device show`: one device with its certificates, leases and reasons.
import { counted } from '@edgekeep/core/counted';
import { writeFile } from 'node:fs/promises';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { deviceDetail } from '@edgekeep/wire/api/device-view';
import { exitCodes, type Command } from '../command.ts';
import { attestationKeyOf } from '../attest/known-device.ts';
import { faultText } from '../model/fault-text.ts';
import { newest } from './newest.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';
import type { z } from 'zod';

/** A device that renews its leases has hundreds. */
const SHOWN_MAX = 10;

export const command: Command = {
  usage: 'device show ID [--all] [--attestation-key FILE]',
  help: `
--all              all its leases, certificates and former identities (default: the newest ${SHOWN_MAX} of each)
--attestation-key  write the attestation key of a device with a TPM to this file: \`edgekeep attest verify --key\` takes it
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, all: { type: 'boolean' }, 'attestation-key': { type: 'string' } },
  async run(args) {
    const [id = ''] = args.positionals;
    const d = await (await openOperator(args)).get(`/v1/devices/${encodeURIComponent(id)}`, deviceDetail);
    const keyFile = args.option('attestation-key');
    if (keyFile !== undefined) await writeFile(keyFile, attestationKeyOf(d), { flag: 'wx' });
    const reasons = d.appraisal?.reasons.map((reason) => ['', `- ${reason.message}`]) ?? [];
    const shown = args.flag('all') ? Number.POSITIVE_INFINITY : SHOWN_MAX;
    const leases = newest(d.leases, shown, (lease) => [
      'lease',
      `${lease.model} ${lease.version} until ${timeText(lease.notAfter)}${lease.revokedAt === null ? '' : ' (revoked)'}${lease.wrap === hybridWrapType ? ', hybrid' : ''}  ${lease.id}`,
    ]);
    const certificates = newest(d.certificates, shown, (certificate) => [
      'certificate',
      `${certificate.serial} until ${timeText(certificate.notAfter)}${certificate.revokedAt === null ? '' : ' (revoked)'}`,
    ]);
    const models = d.models.flatMap(({ model, state, version, fault, retryOrdered }) => [
      ['model', `${model}${version === null ? '' : ` ${version}`}: ${state}`],
      ...(fault === null ? [] : [['', `- ${faultText(fault)}  since ${timeText(fault.since)}`]]),
      ...(retryOrdered ? [['', '- it will try again at its next check-in']] : []),
    ]);
    const text = table([
      ['device', d.id],
      ['tier', d.tier],
      ['state', `${d.state}: ${d.stateReason}`],
      ['site', d.site ?? 'none'],
      ...linkRows(d),
      ['attestation', d.appraisal === null ? 'never' : `${d.appraisal.status} at ${timeText(d.appraisal.at)}`],
      ...reasons,
      ...(d.appraisal?.clockSafe === false ? [['', '- the clock of its TPM is not safe: it lost power']] : []),
      ...(d.clockSkewSeconds === null ? [] : [['clock', clockText(d.clockSkewSeconds)]]),
      ...guardRows(d.guard),
      ...models,
      ['root of trust', d.rootSha256],
      ['hybrid key', hybridKeyText(d.hybridKey)],
      ...(d.nextRootSha256 === null ? [] : [['returns with', d.nextRootSha256]]),
      ...d.formerDevices.map((former) => ['', `it belonged to ${former.deviceId} until ${timeText(former.endedAt)}`]),
      ['enrollment group', d.enrollmentGroup ?? '-'],
      ['identity', `${d.incarnation}, since ${timeText(d.enrolledAt)}`],
      ...newest(d.formerIdentities, shown, (former) => [
        '',
        `${former.incarnation}, until ${timeText(former.endedAt)}: ${former.reason}  (root of trust ${former.rootSha256})`,
      ]),
      ...d.makers.flatMap(({ kind, maker, judgedAt, notes }) => [
        ['maker', `${maker} (${kind}), judged at ${timeText(judgedAt)}`],
        ...notes.map((note) => ['', note]),
      ]),
      ...(d.idevid === null
        ? []
        : [['IDevID', `serial number ${d.idevid.serialNumber}, by ${d.idevid.issuer}  ${d.idevid.sha256}`]]),
      ...certificates,
      ...leases,
    ]);
    return { exitCode: exitCodes.ok, value: d, text };
  },
};

function hybridKeyText(key: z.infer<typeof deviceDetail>['hybridKey']): string {
  if (key === null) return 'none: its model keys are wrapped for its root of trust alone';
  return `${key.suite} since ${timeText(key.registeredAt)}  ${key.sha256}`;
}

function clockText(skewSeconds: number): string {
  if (skewSeconds === 0) return 'as the hub’s';
  return `${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? 'ahead of' : 'behind'} the hub’s`;
}

function guardRows(guard: z.infer<typeof deviceDetail>['guard']): readonly (readonly [string, string])[] {
  if (guard === null) return [];
  const { missing, inferenceTimeouts, protocolViolations, crashes } = guard;
  return [
    ['guard', missing.length === 0 ? 'behind every wall' : `without ${missing.join(', ')}`],
    ...(inferenceTimeouts === 0
      ? []
      : [['', `- ended ${counted(inferenceTimeouts, 'time')} for a model without end`] as const]),
    ...(protocolViolations === 0
      ? []
      : [['', `- ended ${counted(protocolViolations, 'time')} for breaking the protocol`] as const]),
    ...(crashes === 0
      ? []
      : [['', `- crashed ${counted(crashes, 'time')}, or was killed because memory was short`] as const]),
  ];
}

function linkRows({ presence: { sessions, elsewhere, lastAddress, lastBoundAt } }: z.infer<typeof deviceDetail>) {
  const online = sessions.map(({ address, since }) => ['link', `online from ${address} since ${timeText(since)}`]);
  const last =
    lastAddress === null || lastBoundAt === null ? '' : `, last from ${lastAddress} at ${timeText(lastBoundAt)}`;
  const rows = sessions.length > 0 ? online : [['link', `offline${last}`]];
  return elsewhere ? [...rows, ['', '- this identity is in more than one place: edgekeep alert list']] : rows;
}
