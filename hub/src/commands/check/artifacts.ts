// Checks the bucket for models: each right that the hub needs there, tried with an object that is removed again.
import { messageOf } from '@edgekeep/core/message-of';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { probeBucket } from '../../artifact/probe.ts';
import { HubError } from '../../common/error.ts';
import { openBucket } from '../../doors/bucket/open-bucket.ts';
import type { HubSettings } from '../../settings.ts';

const subject = 'artifacts';

export async function checkArtifacts(folder: string, { artifacts, store }: HubSettings): Promise<readonly Finding[]> {
  // A bucket that is to be moved to is tried as well.
  if (artifacts.kind === 'folder' && store.url !== 'sqlite')
    return [
      warning(subject, 'files lie in the folder of this node', 'other nodes do not serve them: docs/artifacts.md'),
    ];
  if (artifacts.bucket === '') return [ok(subject, 'sealed files and evidence lie in the data folder')];
  try {
    using opened = await openBucket(folder, artifacts, Date.now);
    const steps = await probeBucket(opened.bucket);
    const problems = steps.filter(({ error }) => error !== undefined);
    if (problems.length === 0)
      return [ok(subject, `${opened.place}: an object was stored, read in part, listed and removed`)];
    return problems.map(({ right, error }) =>
      failed(subject, `${right}: ${messageOf(error)}`, 'rights and settings of a bucket: docs/artifacts.md'),
    );
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return [failed(subject, error.message, 'correct the settings artifacts: docs/artifacts.md')];
  }
}
