// The hub as a process: `init` makes a data folder, `run` serves it until SIGINT or SIGTERM; the other verbs manage its keys.
import { endpointText, httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findingText } from '@edgekeep/host/finding';
import { installInitialCertificates } from '../secrets/initial-certificates.ts';
import { acceptClock, acceptedClockText } from './accept-clock.ts';
import { agreeToRestore, assertInFolder, backupTrust, signerForBackup } from './backup.ts';
import { resetPolicy } from './reset-policy.ts';
import { checkHub } from './check/check.ts';
import { exitCodeOf } from './exit-code.ts';
import { joinHub } from './join.ts';
import { dataFolderIn, dataFolderOf } from './data-folder.ts';
import { HostError } from '@edgekeep/host/error';
import { isMachineFailure } from '@edgekeep/host/system-failure';
import { HubError } from '../common/error.ts';
import { type FolderLock, lockFolder } from '../store/folder-lock.ts';
import { initHub, parsePerson, requestPlace } from './init.ts';
import { hubKeysOf } from '../node/open.ts';
import { described, isFileError, reportError } from './report-error.ts';
import { newSettings, nodeSettings } from './new-settings.ts';
import { moveAndTell, movedText, storeSettingOf } from './move-store-verb.ts';
import { initText, initWarnings, nextText } from './init-text.ts';
import { moveArtifactsVerb } from './move-artifacts-verb.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { openKeyStore, openSealed } from '../secrets/open-keys.ts';
import { isInside, parseUnlockerOrders, programOf } from '../secrets/orders.ts';
import { backUpHub } from '../secrets/backup.ts';
import { coreDumpWarning, restrictNewFiles } from '../secrets/process.ts';
import { rekey } from '../secrets/rekey.ts';
import { restoreHub } from '../secrets/restore.ts';
import { readSealedFile } from '../secrets/sealed-keys.ts';
import { gatherFromPerson, gatherOffer, needsNobody, type UnlockSources } from '../secrets/sources.ts';
import { giveToHub, waitForUnlock } from '../doors/unlock/waiting.ts';
import type { UnlockResponse } from '../secrets/unlock-message.ts';
import { type HubSettings, readHubSettings } from '../settings.ts';
import { startHub } from '../wiring/start.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import { asFolderError } from '../common/world-failure.ts';
import { vendorRootText } from '../vendor-root/text.ts';

const usage = `usage: edgekeep hub init [--data DIR] [--unlock HOW]… [--root-folder DIR | --issuing-request FILE|FOLDER] [--share-folder DIR] [--passphrase-fd N] [--person NAME] [--name NAME]… [--store URL] [--store-password-file FILE] [--store-ca FILE] [--settings JSON]
       edgekeep hub install-issuing FILE [--data DIR] [--root-sha256 HEX]
       edgekeep hub run [--data DIR] [--passphrase-fd N] [--share FILE]… [--wait]
       edgekeep hub join (--code CODE | --code-file FILE) [--data DIR] --unlock HOW… [--share-folder DIR] [--passphrase-fd N] [--store-password-file FILE] [--store-ca FILE] [--settings JSON]
       edgekeep hub check [--data DIR]
       edgekeep hub unlock [--data DIR] [--passphrase-fd N] [--share FILE]…
       edgekeep hub rekey [--data DIR] [--add HOW]… [--remove ID]… [--passphrase-fd N] [--share FILE]… [--new-passphrase-fd N] [--share-folder DIR]
       edgekeep hub backup [--data DIR] --out FILE [--blobs] [--plain] [--unsigned] [--passphrase-fd N] [--share FILE]…
       edgekeep hub restore FILE [--data DIR] (--root FILE [--key-list FILE] | --unsigned) [--yes]
       edgekeep hub move-store --to URL [--data DIR] [--store-password-file FILE] [--store-ca FILE] [--passphrase-fd N] [--share FILE]…
       edgekeep hub reset-policy [--data DIR] [--passphrase-fd N] [--share FILE]…
       edgekeep hub accept-clock [--data DIR]
       edgekeep hub move-artifacts s3|folder [--data DIR] [--leave-lost]
`;

const options = {
  data: { type: 'string' },
  'root-folder': { type: 'string' },
  'issuing-request': { type: 'string' },
  'root-sha256': { type: 'string' },
  settings: { type: 'string' },
  code: { type: 'string' },
  'code-file': { type: 'string' },
  store: { type: 'string' },
  'store-password-file': { type: 'string' },
  'store-ca': { type: 'string' },
  name: { type: 'string', multiple: true },
  person: { type: 'string' },
  unlock: { type: 'string', multiple: true },
  share: { type: 'string', multiple: true },
  'share-folder': { type: 'string' },
  'passphrase-fd': { type: 'string' },
  'new-passphrase-fd': { type: 'string' },
  add: { type: 'string', multiple: true },
  remove: { type: 'string', multiple: true },
  out: { type: 'string' },
  blobs: { type: 'boolean' },
  plain: { type: 'boolean' },
  to: { type: 'string' },
  wait: { type: 'boolean' },
  unsigned: { type: 'boolean' },
  root: { type: 'string' },
  'key-list': { type: 'string' },
  yes: { type: 'boolean' },
  'leave-lost': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;
type Values = ReturnType<typeof parse>['values'];

const parse = (argv: readonly string[]) => parseArgs({ args: [...argv], allowPositionals: true, options });

/** Runs one verb and returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (thrown) {
    const error = asFolderError(dataFolderIn(argv), thrown);
    reportError(error, argv.includes('--json'));
    if (isMachineFailure(error)) return 6;
    if (!(error instanceof HubError)) return isFileError(error) || error instanceof HostError ? 3 : 5;
    return error.code === 'unlock-refused' ? 1 : error.code === 'request-invalid' ? 2 : exitCodeOf(error);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  restrictNewFiles();
  const { positionals, values } = parse(argv);
  const [verb] = positionals;
  const folder = dataFolderOf(verb, values.data);
  if (positionals.length === 1) {
    if (verb === 'init') return init(folder, values);
    if (verb === 'run') return run(folder, values);
    if (verb === 'join') return joinNode(folder, values);
    if (verb === 'check') return check(folder, values);
    if (verb === 'unlock') return unlock(folder, values);
    if (verb === 'reset-policy') return putPolicyBack(folder, values);
    if (verb === 'accept-clock') return takeClock(folder, values);
    if (verb === 'rekey') return changeUnlockers(folder, values);
    if (verb === 'move-store' && values.to !== undefined) return move(folder, values.to, values);
    if (verb === 'backup' && values.out !== undefined) return backUp(folder, values.out, values);
  }
  const [, file] = positionals;
  if (file !== undefined && positionals.length === 2) {
    if (verb === 'restore') return restore(file, folder, values);
    if (verb === 'install-issuing') return installIssuing(folder, file, values);
    if (verb === 'move-artifacts') return moveArtifactsVerb(folder, file, values);
  }
  process.stderr.write(usage);
  return 2;
}

async function init(folder: string, values: Values): Promise<number> {
  const requestPath = values['issuing-request'];
  if (requestPath !== undefined && values['root-folder'] !== undefined)
    throw new HubError(
      'request-invalid',
      'the root is made here (--root-folder) or offline (--issuing-request), not both',
    );
  const rootFolder = requestPath === undefined ? (values['root-folder'] ?? join(folder, 'root')) : undefined;
  const words = values.unlock ?? [];
  const settings = await newSettings(values, programOf(words), values.json === true);
  const requestFile = requestPath === undefined ? undefined : requestPlace(requestPath, settings, Date.now());
  const unlockers = await parseUnlockerOrders(words, {
    passphraseFd: descriptorOf(values['passphrase-fd']),
    shareFolder: values['share-folder'],
    dataFolder: folder,
    unlockProgram: settings.unlockProgram,
  });
  if (rootFolder !== undefined && unlockers.length > 0 && isInside(folder, rootFolder)) {
    throw new HubError(
      'request-invalid',
      'the root key is never sealed: give --root-folder DIR outside the data folder, and take it offline',
    );
  }
  const person = values.person === undefined ? undefined : parsePerson(values.person);
  const shareFolder = unlockers.some(({ kind }) => kind === 'shares') ? values['share-folder'] : undefined;
  const places = { rootFolder, requestFile, shareFolder };
  const made = await initHub(folder, { ...places, settings, nowMs: Date.now(), unlockers, person });
  const asksPerson = unlockers.length > 0 && !unlockers.some(({ kind }) => kind === 'program');
  const { logOrigin, names, workloads } = settings;
  const value = { ...made, requestFile, names, logOrigin, trustDomain: workloads.trustDomain };
  const text = initText({ ...made, requestFile }, { settings, asksPerson });
  process.stdout.write(values.json === true ? `${JSON.stringify(value)}\n` : text);
  for (const warning of initWarnings(folder, settings, words)) process.stderr.write(`warning: ${warning}\n`);
  return 0;
}

async function joinNode(folder: string, values: Values): Promise<number> {
  const { code, 'code-file': codeFile, unlock: words = [] } = values;
  if ((code === undefined) === (codeFile === undefined))
    throw new HubError(
      'request-invalid',
      '--code-file FILE has the code of `edgekeep hub invite`; or give it by --code',
    );
  const program = programOf(words) ?? [];
  const { name, hub } = await joinHub(folder, {
    code: code ?? (await readFile(codeFile ?? '', 'utf8')),
    unlockers: () =>
      parseUnlockerOrders(words, {
        passphraseFd: descriptorOf(values['passphrase-fd']),
        shareFolder: values['share-folder'],
        dataFolder: folder,
        unlockProgram: program,
      }),
    offer: async (file) => gatherOffer(file, sourcesOf(values, program)),
    ownSettings: nodeSettings(values, program),
    nowMs: Date.now,
  });
  const text = `this is the node ${name} of the hub at ${hub} now\nstart it: edgekeep hub run --data ${folder}`;
  process.stdout.write(`${values.json === true ? JSON.stringify({ folder, name, hub }) : text}\n`);
  return 0;
}

async function putPolicyBack(folder: string, values: Values): Promise<number> {
  const settings = await readHubSettings(folder);
  const { unlockProgram } = settings;
  using _ = lockHub(folder, settings);
  const local = await openKeyStore(folder, sourcesOf(values, unlockProgram));
  const keyStore = await hubKeysOf(folder, placeOfStore(folder, settings), local, Date.now);
  const version = await resetPolicy(folder, Date.now(), keyStore);
  const text = `policy version ${version}, the default, is in force once the hub runs\n`;
  process.stdout.write(values.json === true ? `${JSON.stringify({ version })}\n` : text);
  return 0;
}

async function move(folder: string, url: string, values: Values): Promise<number> {
  const words = { url, passwordFile: values['store-password-file'], caFile: values['store-ca'] };
  const to = storeSettingOf(words, '--to');
  const settings = await readHubSettings(folder);
  using _ = lockHub(folder, settings);
  const keyStore = await openKeyStore(folder, sourcesOf(values, settings.unlockProgram));
  const moved = await moveAndTell(folder, to, keyStore);
  process.stdout.write(values.json === true ? `${JSON.stringify(moved)}\n` : movedText(moved));
  return 0;
}

async function takeClock(folder: string, values: Values): Promise<number> {
  using _ = lockHub(folder, await readHubSettings(folder));
  const accepted = await acceptClock(folder, Date.now());
  process.stdout.write(values.json === true ? `${JSON.stringify(accepted)}\n` : acceptedClockText(accepted));
  return 0;
}

/** 1 when the hub would not start or not work. */
async function check(folder: string, values: Values): Promise<number> {
  const findings = await checkHub(folder, Date.now());
  const text = findings.map(findingText);
  process.stdout.write(values.json === true ? `${JSON.stringify({ findings })}\n` : `${text.join('\n')}\n`);
  return findings.some(({ state }) => state === 'failed') ? 1 : 0;
}

async function installIssuing(folder: string, file: string, values: Values): Promise<number> {
  const expected = values['root-sha256']?.replaceAll(/\s/g, '').toLowerCase();
  const sha256 = await installInitialCertificates(folder, await readFile(file, 'utf8'), expected);
  const shown = (sha256.match(/.{4}/g) ?? []).join(' ');
  const sealed = await readSealedFile(join(folder, 'keys'));
  const asksPerson = sealed !== undefined && !sealed.unlockers.some(({ kind }) => kind === 'program');
  const next = nextText(folder, asksPerson);
  const text = `installed; all devices and operators will trust the root with this SHA-256:\n  ${shown}\ncompare it with the value noted at the ceremony before you deliver the first device\n${next}`;
  process.stdout.write(`${values.json === true ? JSON.stringify({ folder, root: sha256 }) : text}\n`);
  return 0;
}

/** Locks the folder of a hub that does not run. Writes nothing into a folder that holds no hub. */
function lockHub(folder: string, { store }: HubSettings): FolderLock {
  if (store.url !== 'sqlite' || existsSync(join(folder, 'hub.sqlite'))) return lockFolder(folder);
  throw new HubError('settings-invalid', `${folder} holds no hub: \`edgekeep hub init --data ${folder}\` makes one`);
}

async function run(folder: string, values: Values): Promise<number> {
  const warning = await coreDumpWarning();
  if (warning !== undefined) process.stderr.write(`edgekeep hub: warning: ${warning}\n`);
  const settings = await readHubSettings(folder);
  const sources = sourcesOf(values, settings.unlockProgram);
  // Before it asks anybody for a passphrase.
  using lock = lockHub(folder, settings);
  const keyStore = values.wait === true ? await openOrWait(folder, sources) : await openKeyStore(folder, sources);
  const hub = await startHub(folder, settings, undefined, keyStore, lock);
  const { deviceAddress: device, operatorAddress: operator, estAddress: est } = hub;
  const text = `ready: devices on ${endpointText(device)}, operators on ${httpsUrl(operator)}${est === undefined ? '' : `, gateways (EST, TLS 1.2) on ${endpointText(est)}`}`;
  const { unreadable, ignored, gone } = hub.rootFolderNotices;
  for (const notice of [...unreadable.map((problem) => `skipped ${problem}`), ...ignored, ...gone])
    process.stderr.write(`edgekeep hub: warning: ${notice}\n`);
  process.stderr.write(`edgekeep hub: ${vendorRootText(hub.vendorRoots)}\n`);
  // Before the ready message: a program that reads it may stop the hub at once.
  const stopped = stopSignal();
  process.stdout.write(`${values.json === true ? JSON.stringify({ ready: true, device, operator, est }) : text}\n`);
  const why = await Promise.race([stopped, hub.refused]);
  process.stderr.write(`edgekeep hub: ${typeof why === 'string' ? why : described(why)}, stopping\n`);
  await hub[Symbol.asyncDispose]();
  return typeof why === 'string' ? 0 : exitCodeOf(why);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name));
  });
}

/** Keys that need a person, or that a program did not open, are opened by `edgekeep hub unlock` at any later time. */
async function openOrWait(folder: string, sources: UnlockSources): Promise<KeyStore> {
  const keysFolder = join(folder, 'keys');
  const file = await readSealedFile(keysFolder);
  if (file === undefined) return openKeyStore(folder, sources);
  if (await needsNobody(file, sources)) {
    try {
      return await openKeyStore(folder, sources);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== 'unlock-refused') throw error;
      process.stderr.write(`edgekeep hub: ${error.message}\n`);
    }
  }
  return waitForUnlock({
    dataFolder: folder,
    unlockers: file.unlockers,
    open: (offer) => openSealed(keysFolder, offer),
    onWaiting: (path) => {
      const ids = file.unlockers.map(({ id }) => id).join(', ');
      process.stderr.write(
        `edgekeep hub: waiting at ${path}: the keys are sealed (${ids}); open them with \`edgekeep hub unlock --data ${folder}\`\n`,
      );
    },
  });
}

async function unlock(folder: string, values: Values): Promise<number> {
  const file = await readSealedFile(join(folder, 'keys'));
  if (file === undefined)
    throw new HubError('request-invalid', 'the keys of this hub are not sealed: it needs no unlocking');
  let answer: UnlockResponse | undefined;
  for (const request of await gatherFromPerson(file, sourcesOf(values, []))) {
    answer = await giveToHub(folder, request);
    if (answer.state === 'refused') throw new HubError('unlock-refused', answer.message);
    if (answer.state === 'unlocked') break;
  }
  const text =
    answer?.state === 'waiting'
      ? `${answer.given} of ${answer.needed} shares received: the hub waits for ${answer.needed - answer.given} more`
      : 'unlocked: the hub starts';
  process.stdout.write(`${values.json === true ? JSON.stringify(answer) : text}\n`);
  return 0;
}

async function changeUnlockers(folder: string, values: Values): Promise<number> {
  const settings = await readHubSettings(folder);
  const { unlockProgram } = settings;
  using _ = lockHub(folder, settings);
  const words = values.add ?? [];
  if (words.some((word) => word === 'none' || word.startsWith('program:'))) {
    throw new HubError(
      'request-invalid',
      'name the program in hub.json (unlockProgram) and use --add program; sealed keys cannot become plain files again',
    );
  }
  const file = await readSealedFile(join(folder, 'keys'));
  const sources = sourcesOf(values, unlockProgram);
  // Checks the caller's permission before it makes anything new.
  const offer =
    file === undefined || words.length + (values.remove ?? []).length === 0
      ? undefined
      : await gatherOffer(file, sources);
  const added = await parseUnlockerOrders(words, {
    passphraseFd: descriptorOf(values['new-passphrase-fd']),
    shareFolder: values['share-folder'],
    dataFolder: folder,
    unlockProgram,
  });
  const unlockers = await rekey(folder, { added, removed: new Set(values.remove) }, offer);
  const rootKey = join(folder, 'root', 'root-key.pem');
  if (unlockers.length > 0 && existsSync(rootKey)) {
    process.stderr.write(`warning: the root key is not sealed: take ${rootKey} offline\n`);
  }
  const text = unlockers.length === 0 ? 'the keys are plain files' : `unlockers: ${unlockers.join(', ')}`;
  process.stdout.write(`${values.json === true ? JSON.stringify({ unlockers }) : text}\n`);
  return 0;
}

async function backUp(folder: string, file: string, values: Values): Promise<number> {
  const { plain = false, blobs = false, unsigned = false } = values;
  const { unlockProgram } = unsigned ? { unlockProgram: [] } : await readHubSettings(folder);
  const sources = sourcesOf(values, unlockProgram);
  const signer = unsigned ? undefined : await signerForBackup(folder, sources);
  if (blobs) assertInFolder(await readHubSettings(folder));
  const parts = await backUpHub({ folder, file, plain, blobs, signer });
  const signed = signer !== undefined;
  const text = `${signed ? 'signed backup' : 'backup'} of ${parts} parts in ${file}`;
  process.stdout.write(`${values.json === true ? JSON.stringify({ file, parts, signed }) : text}\n`);
  return 0;
}

async function restore(file: string, folder: string, values: Values): Promise<number> {
  const { root, 'key-list': keyList, unsigned = false, yes = false } = values;
  const trust = await backupTrust({ root, keyList, unsigned });
  const parts = await restoreHub(file, folder, trust, (settings, origin) => agreeToRestore(settings, origin, yes));
  const text = `hub restored in ${folder} from ${parts} parts; read docs/backup.md before you let devices connect`;
  process.stdout.write(`${values.json === true ? JSON.stringify({ folder, parts }) : text}\n`);
  return 0;
}

function sourcesOf(values: Values, unlockProgram: readonly string[]): UnlockSources {
  return { passphraseFd: descriptorOf(values['passphrase-fd']), shareFiles: values.share ?? [], unlockProgram };
}

function descriptorOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new HubError('request-invalid', '--passphrase-fd and --new-passphrase-fd take the number of a file descriptor');
}
