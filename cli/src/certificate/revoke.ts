// `edgekeep certificate revoke`: one request, carried out completely or not at all.
import { counted } from '@edgekeep/core/counted';
import { readFile } from 'node:fs/promises';
import { canonicalSerialNumber, canonicalSha256 } from '@edgekeep/core/canonical/serial-number';
import { revocationResponse, revocationReasons, REVOKED_AT_ONCE_MAX } from '@edgekeep/wire/api/revocation';
import { type Arguments, exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const command: Command = {
  usage:
    'certificate revoke (--device ID… | --serial HEX… | --sha256 HEX… | --devices-from FILE) --reason REASON --note TEXT [--may-return]',
  help: `
Revokes in one transaction, closes live connections within a second on every hub node, and voids the leases of the devices.

--device        all certificates of this device; may be repeated. The device is quarantined as well
--devices-from  a file with one device id per line, at most ${REVOKED_AT_ONCE_MAX}
--serial        one certificate by its serial number; may be repeated. Its device may prove itself and get another
--sha256        one certificate by the SHA-256 of its DER; may be repeated
--reason        ${revocationReasons.join(', ')}
--note          why; recorded in the audit log
--may-return    with --device: the devices may prove themselves and get another certificate, instead of being quarantined
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...operatorOption,
    device: { type: 'string', multiple: true },
    'devices-from': { type: 'string' },
    serial: { type: 'string', multiple: true },
    sha256: { type: 'string', multiple: true },
    reason: { type: 'string' },
    note: { type: 'string' },
    'may-return': { type: 'boolean' },
  },
  async run(args) {
    const order = {
      ...(await namedIn(args)),
      reason: args.required('reason'),
      note: args.required('note'),
      mayReturn: args.flag('may-return'),
    };
    const operator = await openOperator(args);
    const done = await operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
    const text = `${counted(done.certificates, 'certificate')} of ${counted(done.devices, 'device')} revoked, ${counted(done.quarantined, 'device')} quarantined, ${counted(done.leasesVoided, 'lease')} void, ${counted(done.connectionsClosed, 'connection')} closed here\nversion ${done.version}, list ${done.digest}`;
    return { exitCode: exitCodes.ok, value: done, text };
  },
};

async function namedIn(args: Arguments) {
  const file = args.option('devices-from');
  const listed = file === undefined ? [] : await readList(file);
  const named = {
    devices: [...args.all('device'), ...listed],
    serials: args.all('serial').map((text) => given(canonicalSerialNumber(text), '--serial', text)),
    sha256: args.all('sha256').map((text) => given(canonicalSha256(text), '--sha256', text)),
  };
  const chosen = Object.entries(named).filter(([, list]) => list.length > 0);
  if (chosen.length !== 1) throw new UsageError('name devices, serial numbers or digests: only one of the three');
  return Object.fromEntries(chosen);
}

function given(value: string | undefined, option: string, text: string): string {
  if (value === undefined) throw new UsageError(`${option} takes hex, with or without colons, found ${text}`);
  return value;
}

async function readList(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
