// Every socket of the agent, before the first one is made: its paths must have room (host/src/socket-path.ts), also for programs that connect to it.
import { socketPathProblem } from '@edgekeep/host/socket-path';
import { dirname, join } from 'node:path';
import { AgentError } from './error.ts';
import type { AgentSettings, ModelSettings } from './settings.ts';
import type { StateFolder } from './state-folder.ts';

/** As long as a hidden name gets before its public one (guard/doors.ts): of the largest process id. */
const hiddenName = '.2hwcg-99999n';

export function modelSocket({ name, socket }: Pick<ModelSettings, 'name' | 'socket'>, folder: StateFolder): string {
  return socket === undefined ? join(folder.run, `${name}.sock`) : folder.resolve(socket);
}

export function workloadSocket({ name, socket }: AgentSettings['workloads'][number], folder: StateFolder): string {
  return socket === undefined ? join(folder.run, `workload-${name}.sock`) : folder.resolve(socket);
}

export function localSockets({ local }: Pick<AgentSettings, 'local'>, folder: StateFolder) {
  const at = (path: string | undefined, name: string) =>
    path === undefined ? join(folder.run, name) : folder.resolve(path);
  return { status: at(local.socket, 'agent.sock'), admin: at(local.adminSocket, 'admin.sock') };
}

/** Throws `settings-invalid`, which names the socket and the setting. */
export function assertSocketPaths(settings: AgentSettings, folder: StateFolder): void {
  const served = settings.models.filter(({ use }) => use !== 'program').map((model) => modelSocket(model, folder));
  const workloads = settings.workloads.map((workload) => workloadSocket(workload, folder));
  const hidden = [join(folder.run, 'lock.sock'), ...served].map((path) => join(dirname(path), hiddenName));
  for (const path of [...Object.values(localSockets(settings, folder)), ...served, ...workloads, ...hidden]) {
    const problem = socketPathProblem(path);
    if (problem === undefined) continue;
    const remedy = 'name a folder with a short path in runFolder, for example /run/edgekeep (docs/settings.md)';
    throw new AgentError('settings-invalid', `${problem}: ${remedy}`);
  }
}
