// `edgekeep device quarantine|release|retire|mark-wiped`: one order, four verbs.
import { counted } from '@edgekeep/core/counted';
import { stateResponse } from '@edgekeep/wire/api/device-view';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

function stateRequest(verb: string, effect: string, route = verb): Command {
  return {
    usage: `device ${verb} ID --reason TEXT`,
    help: `${effect}\n\n--reason    why; recorded in the audit log\n${operatorHelp}`,
    positionals: { min: 1, max: 1 },
    options: { ...operatorOption, reason: { type: 'string' } },
    async run(args) {
      const [id = ''] = args.positionals;
      const body = { reason: args.required('reason') };
      const value = await (
        await openOperator(args)
      ).send('POST', `/v1/devices/${encodeURIComponent(id)}/${route}`, body, stateResponse);
      const text = `${value.deviceId} is ${value.state}; ${counted(value.connectionsClosed, 'live connection')} closed`;
      return { exitCode: exitCodes.ok, value, text };
    },
  };
}

export const quarantine = stateRequest(
  'quarantine',
  'Closes the device’s live connections, voids its leases and refuses it keys until `device release`.',
);
export const release = stateRequest('release', 'The device may connect again; it must attest before it gets a key.');
export const retire = stateRequest(
  'retire',
  'Like quarantine, and its certificates are revoked. The device cannot return under this identity.',
);
export const markWiped = stateRequest(
  'mark-wiped',
  `For a device whose storage was erased. Its certificates are revoked, its leases void, its witness key and reported
data are removed; record, tags and history stay. The same hardware returns by enrolling again, as a new identity
under the same id: with a TPM directly, without one with a token made after the wipe.`,
  'wiped',
);
