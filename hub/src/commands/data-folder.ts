// Which folder a verb of the hub works in.
import { formerPlace, ownersWords, standardFolders } from '@edgekeep/host/standard-folders';
import { HubError } from '../common/error.ts';
import { isHalfJoined } from './join.ts';
import { isHalfMade } from './unfinished-init.ts';

/** For a message about a failure that does not name its place. */
export function dataFolderIn(argv: readonly string[]): string {
  const at = argv.indexOf('--data');
  return at === -1 ? standardFolders.hub : (argv[at + 1] ?? 'the data folder');
}

/** Verbs that read only, or write where their caller says, work for root too. */
const rootMayRun: ReadonlySet<string> = new Set(['check', 'unlock', 'backup']);

/** The data folder of the command line, or the standard one; refuses what would leave files there that the hub cannot read. */
export function dataFolderOf(verb: string | undefined, data: string | undefined): string {
  const former = data === undefined ? formerPlace('hub') : undefined;
  if (former !== undefined) throw new HubError('request-invalid', former);
  const folder = data ?? standardFolders.hub;
  if (verb !== 'init' && isHalfMade(folder))
    throw new HubError(
      'settings-invalid',
      `\`edgekeep hub init\` did not finish in ${folder}: run it again, it removes what is there and begins anew`,
    );
  if (verb !== 'join' && isHalfJoined(folder))
    throw new HubError(
      'settings-invalid',
      `\`edgekeep hub join\` did not finish in ${folder}: run it again with the same code; or empty the folder`,
    );
  const words = verb === undefined || rootMayRun.has(verb) ? undefined : ownersWords(folder, `hub ${verb}`);
  if (words !== undefined)
    throw new HubError(
      'request-invalid',
      `${folder} belongs to the user of the hub, who could not read root's files there: \`${words} …\``,
    );
  return folder;
}
