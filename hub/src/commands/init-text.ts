// What `hub init` says when it is done: what was made, what cannot be changed later, and the commands that follow.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { standardFolders } from '@edgekeep/host/standard-folders';
import { operatorFileName } from '../secrets/initial-certificates.ts';
import { type HubSettings, hubSettingsSchema } from '../settings.ts';
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

export function initWarnings({ names, logOrigin }: HubSettings, unlockWords: readonly string[]): readonly string[] {
  const standard = hubSettingsSchema.parse({});
  const isNameless = logOrigin === standard.logOrigin && names.join() === standard.names.join();
  return [
    ...(isNameless
      ? [
          `no name was given, so only this machine reaches the hub, and its log is ${logOrigin}, which cannot be changed later, as that of every hub without a name: for real use give --name`,
        ]
      : []),
    ...(unlockWords.length === 0
      ? [
          'the keys are plain files, so a copy of the folder contains them: `edgekeep hub rekey --add passphrase` seals them',
        ]
      : []),
  ];
}

function isRunByUnit(folder: string): boolean {
  return folder === standardFolders.hub && unitFiles.some((path) => existsSync(path));
}
