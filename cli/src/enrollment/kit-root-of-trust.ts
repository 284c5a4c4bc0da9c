// The root of trust of a kit: the options of `edgekeep enroll kit`, the tier of its enrollment token, and its setting in agent.json.
import { type Arguments, UsageError } from '../command.ts';
import { tokenChoice, tokenChoiceOptions } from '../token-choice.ts';

export const rootOfTrustOptions = {
  ...tokenChoiceOptions,
  tpm: { type: 'string' },
  'endorsement-password-file': { type: 'string' },
  'owner-password-file': { type: 'string' },
  dice: { type: 'string' },
  pkcs11: { type: 'string' },
  'pin-file': { type: 'string' },
  software: { type: 'boolean' },
  'firmware-log': { type: 'string' },
} as const;

export const rootOfTrustUsage =
  '[--tpm ADDRESS [--endorsement-password-file PATH] [--owner-password-file PATH] | --pkcs11 MODULE [--token LABEL | --slot N] [--pin-file PATH] | --dice FOLDER | --software] [--firmware-log PATH]';

export const rootOfTrustHelp = `--tpm       device:PATH, unix:PATH or tcp:HOST:PORT (default: device:/dev/tpmrm0)
--endorsement-password-file, --owner-password-file  where the password of this hierarchy of the TPM is on the device, alone in a file that others
            cannot read; left out: it has none (docs/agent-causes.md)
--pkcs11    a secure element: its vendor's PKCS#11 library on the device (docs/secure-elements.md); \`edgekeep doctor --pkcs11 MODULE\` there lists its
            tokens. The enrollment token certifies that the key is in a chip: give the kit to no other device
--token     the token's label; without it and --slot the only token there is
--slot      its slot number, where labels do not distinguish tokens
--pin-file  where the token's PIN is on the device, alone in a file that others cannot read (default: token-pin in the state folder)
--dice      where the boot stages of a DICE device write chain and key (docs/dice.md)
--software  no TPM: keys in files, the lowest tier
--firmware-log  where the firmware's event log is on the device, as the agent may read it (default: the kernel's; with edgekeep-agent.service
            /run/edgekeep/firmware.log)`;

export interface KitRootOfTrust {
  readonly tier: 'tpm' | 'secure-element' | 'dice' | 'software';
  /** `rootOfTrust` of agent.json. */
  readonly settings: object;
  /** The firmware's event log on the device; undefined: the kernel's. */
  readonly firmwareLog: string | undefined;
}

export function rootOfTrustIn(args: Arguments): KitRootOfTrust {
  return { ...chosenIn(args), firmwareLog: args.option('firmware-log') };
}

function chosenIn(args: Arguments): Omit<KitRootOfTrust, 'firmwareLog'> {
  const chosen = (['tpm', 'pkcs11', 'dice'] as const).filter((name) => args.option(name) !== undefined);
  const software = args.flag('software');
  if (chosen.length + (software ? 1 : 0) > 1)
    throw new UsageError('--tpm, --pkcs11, --dice and --software exclude each other');
  const [module, handoffFolder] = [args.option('pkcs11'), args.option('dice')];
  if (module !== undefined) return { tier: 'secure-element', settings: tokenSettings(module, args) };
  if (['token', 'slot', 'pin-file'].some((name) => args.option(name) !== undefined))
    throw new UsageError('--token, --slot and --pin-file need --pkcs11 MODULE');
  const passwords = passwordsIn(args);
  if (Object.keys(passwords).length > 0 && (software || handoffFolder !== undefined))
    throw new UsageError('--endorsement-password-file and --owner-password-file are of a TPM');
  if (software) return { tier: 'software', settings: { kind: 'software' } };
  if (handoffFolder !== undefined) return { tier: 'dice', settings: { kind: 'dice', handoffFolder } };
  return { tier: 'tpm', settings: { kind: 'tpm', address: args.option('tpm') ?? 'device:/dev/tpmrm0', ...passwords } };
}

function passwordsIn(args: Arguments) {
  const endorsement = args.option('endorsement-password-file');
  const owner = args.option('owner-password-file');
  return {
    ...(endorsement === undefined ? {} : { endorsementPasswordFile: endorsement }),
    ...(owner === undefined ? {} : { ownerPasswordFile: owner }),
  };
}

function tokenSettings(module: string, args: Arguments): object {
  const choice = tokenChoice(args);
  const pinFile = args.option('pin-file');
  return {
    kind: 'pkcs11',
    module,
    ...('label' in choice ? { token: choice.label } : choice),
    ...(pinFile === undefined ? {} : { pinFile }),
  };
}
