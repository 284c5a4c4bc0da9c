// A process that moves the store of a hub and kills itself at a step: arguments are the data folder, the URL of the new store, and the step.
import { join } from 'node:path';
import { moveStore } from '@edgekeep/hub/commands/move-store';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { lockFolder } from '@edgekeep/hub/store/folder-lock';

const [, , folder = '', url = '', last = ''] = process.argv;
const dieAt = (step: string) => {
  if (step === last) process.kill(process.pid, 'SIGKILL');
};

using _ = lockFolder(folder);
await moveStore(
  folder,
  {
    to: { url, passwordFile: null, caFile: null },
    nowMs: Date.now(),
    progress: (table, rows) => {
      if (table === 'audit_entry' && rows > 0) dieAt('copying');
    },
    onStep: dieAt,
  },
  plainKeys(join(folder, 'keys')),
);
