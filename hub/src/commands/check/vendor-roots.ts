// Checks the files of makers' certificates in the data folder: which ones the next start will skip or refuse.
import { counted } from '@edgekeep/core/counted';
import { HubError } from '../../common/error.ts';
import type { HubSettings } from '../../settings.ts';
import { readRootFolders } from '../../vendor-root/folder.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';

const subject = "makers' files";

export async function checkRootFolders(folder: string, { vendorRoots }: HubSettings): Promise<readonly Finding[]> {
  try {
    const files = await readRootFolders(folder);
    const problems = files.flatMap((file) => file.problems);
    const certificates = files.reduce((sum, file) => sum + file.certificates.length, 0);
    const ignored = files.filter((file) => file.ignored);
    const refused = vendorRoots.onUnreadable === 'refuse';
    return [
      ok(subject, `${counted(certificates, 'certificate')} in ${counted(files.length - ignored.length, 'file')}`),
      ...ignored.map(({ path }) =>
        warning(
          subject,
          `${path} is not read`,
          'name it .pem, .crt, .cer, .der, .p7b or .p7c if it holds certificates',
        ),
      ),
      ...problems.map((problem) =>
        refused
          ? failed(subject, problem, 'the hub will not start (vendorRoots.onUnreadable): correct or remove it')
          : warning(subject, problem, 'the hub skips it: correct or remove it'),
      ),
    ];
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return [failed(subject, error.message, 'correct the permissions of the folder')];
  }
}
