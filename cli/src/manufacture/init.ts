// `edgekeep manufacture init`: the authorities of a manufacturer.
import { join } from 'node:path';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { createManufacturer, hardwareTypeSchema, ownHardwareType } from './manufacturer.ts';
import { tokenHelp, tokenOption, tokenOptions } from './options.ts';

export const command: Command = {
  usage:
    'manufacture init --ca DIR --organization NAME [--root-folder DIR] [--hardware-type OID] [--pkcs11 MODULE [--token LABEL | --slot N] --pin-file FILE [--key-label LABEL]]',
  help: `
Makes a root, whose key must be taken offline, and an issuing CA, whose key stays on the line: in a file that only its user can read, or in a token.

--ca             the manufacturer's folder, which must not contain a manufacturer yet
--organization   written into every IDevID
--root-folder    gets the root's key (default: root in --ca); the line runs without it
--hardware-type  object identifier (OID) of the kind of device, in your own arc (default: a new one below 2.25)
--pkcs11         the issuing key is made in a token of this PKCS#11 module
${tokenHelp}
--key-label      CKA_LABEL of the key (default: edgekeep-manufacturer)
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...tokenOptions,
    ca: { type: 'string' },
    organization: { type: 'string' },
    'root-folder': { type: 'string' },
    'hardware-type': { type: 'string' },
    'key-label': { type: 'string' },
  },
  async run(args) {
    const folder = args.required('ca');
    const organization = args.required('organization');
    const rootFolder = args.option('root-folder') ?? join(folder, 'root');
    const hardwareType = args.option('hardware-type') ?? ownHardwareType();
    if (!hardwareTypeSchema.safeParse(hardwareType).success)
      throw new UsageError('--hardware-type: expected an object identifier like 1.3.6.1.4.1.99999.1');
    if (organization.length > 64) throw new UsageError('--organization: at most 64 characters');
    const token = tokenOption(args);
    const issuingToken =
      token === undefined
        ? undefined
        : {
            module: token.module,
            ...(token.token === undefined ? {} : { token: token.token }),
            ...(token.slot === undefined ? {} : { slot: token.slot }),
            pinFile: token.pinFile,
            keyLabel: args.option('key-label') ?? 'edgekeep-manufacturer',
          };
    const nowSeconds = Math.floor(Date.now() / 1_000);
    await createManufacturer({ folder, rootFolder, organization, hardwareType, issuingToken, nowSeconds });
    const root = join(folder, 'root.pem');
    const text = `manufacturer made in ${folder}, hardware type ${hardwareType}
  root key     ${join(rootFolder, 'manufacturer-root-key.pem')}  (take it offline: the line runs without it)
  issuing key  ${issuingToken === undefined ? join(folder, 'issuing-key.pem') : `${issuingToken.keyLabel}, in the token`}
at the hub: edgekeep enrollment-group create NAME --kind ca --certificate ${root}`;
    return { exitCode: exitCodes.ok, value: { folder, rootFolder, hardwareType, root }, text };
  },
};
