// What `edgekeep hub move-artifacts` takes and says.
import { HubError } from '../common/error.ts';
import { type MovedArtifacts, moveArtifacts } from './move-artifacts.ts';

/** 1 when something is lost where it was, and the hub goes on with the place that it had. */
export async function moveArtifactsVerb(
  folder: string,
  to: string,
  { json = false, 'leave-lost': leaveLost = false }: { readonly json?: boolean; readonly 'leave-lost'?: boolean },
): Promise<number> {
  if (to !== 's3' && to !== 'folder') throw new HubError('request-invalid', `expected s3 or folder, found ${to}`);
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const moved = await moveArtifacts(folder, { to, leaveLost, clock: Date.now, progress });
  process.stdout.write(json ? `${JSON.stringify(moved)}\n` : movedText(moved));
  return moved.inUse ? 0 : 1;
}

function movedText({ to, files, present, evidence, lost, inUse }: MovedArtifacts): string {
  const place = to === 's3' ? 'the bucket' : 'the folder';
  const counts = `${files} sealed files copied, ${present} were there; ${evidence} parts of evidence`;
  const lines = [`${counts}; ${lost.length} lost`, ...lost.map((each) => `lost: ${each}`)];
  if (inUse) lines.push(`the hub uses ${place} from its next start on; what lies in the other place is not removed`);
  else lines.push('the hub goes on with the place that it had: bring back what is lost, or give --leave-lost');
  return `${lines.join('\n')}\n`;
}
