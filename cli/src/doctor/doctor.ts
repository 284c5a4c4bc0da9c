// `edgekeep doctor`: what this machine needs to hold model keys, what it lacks, and what to do next.
import { parseTpmAddress, type TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { type Finding, findingText } from '@edgekeep/host/finding';
import { examineAgentHub } from './agent-hub.ts';
import { readAgentTpm } from './agent-settings.ts';
import { examineBootLog } from './boot-log.ts';
import { openOperator, operatorOption, wayToHub } from '../operator.ts';
import { examineClock, examineEntropy, examineFences, examineMemory, examineNode, examineRights } from './machine.ts';
import { readMakers } from './makers.ts';
import { examineDice } from './dice.ts';
import { examineHub } from './policy.ts';
import { examineAgentProxy, examineOperatorProxy } from './proxy.ts';
import { examineSecureElements } from './pkcs11.ts';
import { examineSimulator, examineTpm, rootSubject } from './tpm.ts';

const deviceDefault = 'device:/dev/tpmrm0';

export const command: Command = {
  usage: `doctor [--tpm ADDRESS] [--state FOLDER] [--endorsement-password-file FILE] [--owner-password-file FILE] [--firmware-log FILE] [--pkcs11 MODULE] [--dice FOLDER] [--vendor-roots FILE|FOLDER]… [--operator FILE]`,
  help: `
Checks this machine and reports, line by line, what is ok, missing or a warning, and what to do next. Changes nothing.
The exit code is always 0: a machine without a TPM can still be a device, of the lowest tier.

  --tpm ADDRESS   device:PATH, unix:PATH or tcp:HOST:PORT (default: ${deviceDefault}). A socket is a
                  TPM without resource manager: no other program may use it
  --state FOLDER  the state folder of an agent: its agent.json says where TPM, passwords and firmware log are, and the TPM is compared with the one
                  that it enrolled with; tries the HTTP proxy of its agent.json
  --endorsement-password-file, --owner-password-file  the password of this hierarchy of the TPM, alone in a file that others cannot read
  --firmware-log FILE  the firmware's event log, where it is not the kernel's
  --pkcs11 MODULE  loads this PKCS#11 module and lists its tokens; no PIN is used
  --dice FOLDER   reads what the boot stages of a DICE device passed on
  --vendor-roots  judges certificates of this machine's maker as enrollment will, by these makers' roots and intermediates: PEM, DER, PKCS#7, or
                  the file vendor-roots.json of a kit; may be repeated
  --operator FILE  the operator file of a hub: tries the HTTP proxy on the way there, reports what the hub allows, and judges this
                  machine's maker by its present trust
`,
  positionals: { min: 0, max: 0 },
  options: {
    tpm: { type: 'string' },
    state: { type: 'string' },
    'endorsement-password-file': { type: 'string' },
    'owner-password-file': { type: 'string' },
    'firmware-log': { type: 'string' },
    pkcs11: { type: 'string' },
    dice: { type: 'string' },
    ...operatorOption,
    'vendor-roots': { type: 'string', multiple: true },
  },
  run: async (args) => {
    const stateFolder = args.option('state');
    const agent = await readAgentTpm(stateFolder);
    const address = parseTpmAddress(args.option('tpm') ?? agent.address ?? deviceDefault);
    if (address === undefined) throw new UsageError('--tpm: expected device:PATH, unix:PATH or tcp:HOST:PORT');
    const way = await examineOperatorWay(args);
    // A hub behind a proxy that does not let this machine through is not asked.
    const hub = way.some(({ state }) => state === 'failed') ? undefined : args.option('operator');
    const makers = await readMakers({ ...args, option: (name) => (name === 'operator' ? hub : args.option(name)) });
    const firmwareLog = args.option('firmware-log') ?? agent.firmwareLogFile;
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const findings = [
      examineNode(),
      ...(makers?.findings ?? []),
      ...(await examineTpm(address, {
        makers: makers?.of,
        nowSeconds,
        stateFolder,
        looksForLog: firmwareLog !== undefined || address.kind === 'device',
        endorsementPasswordFile: args.option('endorsement-password-file') ?? agent.endorsementPasswordFile,
        ownerPasswordFile: args.option('owner-password-file') ?? agent.ownerPasswordFile,
      })),
      ...(await bootLogFindings(firmwareLog, address)),
      await examineSimulator(),
      ...(await examineSecureElements(args.option('pkcs11'))),
      ...(await examineDice(args.option('dice'), makers?.of.dice, nowSeconds)),
      await examineClock(Date.now()),
      await examineEntropy(),
      ...(await examineMemory()),
      ...(await examineRights()),
      ...(await examineFences()),
      ...(await examineAgentWay(args.option('state'))),
      ...way,
      ...(await examineHub(hub === undefined ? undefined : await openOperator(args))),
    ];
    const rootSha256 = findings.find(({ subject }) => subject === rootSubject)?.found;
    const value = { findings, ...(rootSha256 === undefined ? {} : { rootSha256 }) };
    return { exitCode: exitCodes.ok, value, text: findings.map(findingText).join('\n') };
  },
};

/** Through a proxy that does not let this machine through, the hub is not asked. */
async function examineAgentWay(stateFolder: string | undefined): Promise<readonly Finding[]> {
  const proxy = await examineAgentProxy(stateFolder);
  return proxy.some(({ state }) => state === 'failed') ? proxy : [...proxy, ...(await examineAgentHub(stateFolder))];
}

async function examineOperatorWay(args: Arguments): Promise<readonly Finding[]> {
  if (args.option('operator') === undefined) return [];
  const { proxy, target } = await wayToHub(args);
  return [await examineOperatorProxy(proxy, target)];
}

/** The kernel's log is that of a TPM which is a device of this machine. */
async function bootLogFindings(file: string | undefined, address: TpmAddress): Promise<readonly Finding[]> {
  if (file !== undefined) return [await examineBootLog(file, '/proc/mounts', 'named')];
  return address.kind === 'device' ? [await examineBootLog()] : [];
}
