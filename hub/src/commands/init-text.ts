// What `hub init` says when it is done: what was made, what cannot be changed later, and the commands that follow.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { standardFolders } from '@edgekeep/host/standard-folders';
import { operatorFileName } from '../secrets/initial-certificates.ts';
import { type HubSettings, hubSettingsSchema, settingsFileName } from '../settings.ts';
import { hubNameIn } from './identity-settings.ts';
import type { NewHub } from './init.ts';

const unitFiles = ['/usr/lib/systemd/system/edgekeep-hub.service', '/lib/systemd/system/edgekeep-hub.service'];

export function initText(
  { folder, rootKeyFile, operatorFile, requestFile }: NewHub,
  { settings, asksPerson }: { readonly settings: HubSettings; readonly asksPerson: boolean },
): string {
  const { names, logOrigin, workloads } = settings;
  const waits = requestFile !== undefined;
  return `${[
    `hub made in ${folder}${waits ? '; it waits for the certificates of its issuing CAs' : ''}`,
    `  names          ${names.join(', ')}`,
    `  log            ${logOrigin}  (cannot be changed later)`,
    `  trust domain   ${workloads.trustDomain}  (cannot be changed later)`,
    waits
      ? `  request        ${requestFile}  (take it to the root: edgekeep root sign-issuing)`
      : `  root key       ${rootKeyFile}  (take it offline: the hub runs without it)`,
    `  operator file  ${operatorFile}  (${waits ? 'it has no root yet' : 'a first token, for a day: make it your own as below'})`,
    waits ? `next: edgekeep hub install-issuing FILE --data ${folder}` : nextText(folder, asksPerson),
  ].join('\n')}\n`;
}

/** How the hub is started: by the unit of the package, or by the command; then how it gets its first operator. */
export function nextText(folder: string, asksPerson: boolean, byUnit = isRunByUnit(folder)): string {
  const start = byUnit
    ? ['systemctl enable --now edgekeep-hub', ...(asksPerson ? ['edgekeep hub unlock'] : [])]
    : [`edgekeep hub run --data ${folder}`];
  const claim = `edgekeep hub claim --operator ${join(folder, operatorFileName)} --name YOU --out operator.json`;
  return [...start, claim].map((command, at) => `${at === 0 ? 'next' : 'then'}: ${command}`).join('\n');
}

export function initWarnings(
  folder: string,
  { names, logOrigin, device }: HubSettings,
  unlockWords: readonly string[],
): readonly string[] {
  const standard = hubSettingsSchema.parse({});
  const name = hubNameIn(names);
  const isNameless = logOrigin === standard.logOrigin && name === undefined;
  const isHereAlone = /^(?:localhost$|127\.|::1$)/.test(device.host);
  return [
    ...(isNameless
      ? [
          `no name was given by which others reach the hub, and its log is ${logOrigin}, which cannot be changed later, as that of every hub without a name: for real use give --name`,
        ]
      : []),
    ...(name !== undefined && isHereAlone
      ? [
          `devices on other machines do not reach the hub yet: it listens on ${device.host} alone. Set device.host in ${join(folder, settingsFileName)}, 0.0.0.0 for every IPv4 address and :: for every address`,
        ]
      : []),
    ...(unlockWords.length === 0
      ? [
          `the keys are plain files, so a copy of the folder contains them: \`edgekeep hub rekey --data ${folder} --add passphrase\` seals them`,
        ]
      : []),
  ];
}

function isRunByUnit(folder: string): boolean {
  return folder === standardFolders.hub && unitFiles.some((path) => existsSync(path));
}
