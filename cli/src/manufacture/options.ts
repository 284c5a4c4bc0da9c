// Options that the verbs of a manufacturing line share.
import { resolve } from 'node:path';
import { type Arguments, UsageError } from '../command.ts';

export const vendorRootsHelp = `--vendor-roots     PEM of TPM vendors' roots and intermediates: only a TPM with a certificate under one of them gets an IDevID; without
                   it, any program at the address counts as a TPM`;

export const tokenHelp = `--token          the token's label; without it and --slot the only token there is
--slot           its slot number, where labels do not distinguish tokens
--pin-file       the token's PIN, alone on one line of a file that others cannot read`;

export const tokenOptions = {
  pkcs11: { type: 'string' },
  token: { type: 'string' },
  slot: { type: 'string' },
  'pin-file': { type: 'string' },
} as const;

export interface TokenOption {
  readonly module: string;
  readonly token: string | undefined;
  readonly slot: number | undefined;
  readonly pinFile: string;
}

/** The token that --pkcs11 and its related options name; undefined without --pkcs11. */
export function tokenOption(args: Arguments): TokenOption | undefined {
  const module = args.option('pkcs11');
  if (module === undefined) return undefined;
  const slot = args.option('slot');
  if (slot !== undefined && !/^\d{1,9}$/.test(slot)) throw new UsageError('--slot: expected a number');
  return {
    module: resolve(module),
    token: args.option('token'),
    slot: slot === undefined ? undefined : Number(slot),
    pinFile: resolve(args.required('pin-file')),
  };
}
