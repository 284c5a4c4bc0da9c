// What each reading route of the operator listener takes of the event loop over a whole fleet, with the largest page: while it does, no device is
// answered. Routes are those of /openapi.json that name nothing, so a new one is measured as well.
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { readFile } from 'node:fs/promises';
import { makeFleet } from './fleet/fleet.ts';
import type { FleetFile } from './fleet/member.ts';
import { type HubProcess, startHubProcess } from './fleet/processes.ts';
import type { Benchmark } from './harness.ts';

const MILLISECONDS_MAX = 8;
const requestsOfRoute = 10;
// Of half a second.
const IDLE_MILLISECONDS_MAX = 20;

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly parameters?: readonly Parameter[] }>>>>;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: Buffer;
}

interface Parameter {
  readonly name: string;
}

export const bench: Benchmark = {
  name: 'route-cost',
  title: 'What a request takes of the event loop',
  budget: `no reading route takes more than ${MILLISECONDS_MAX} ms of the event loop over 20,000 devices`,
  async run(harness) {
    const fleet = await makeFleet(join(harness.scratch, 'hub'), harness.quick ? 1_000 : 20_000);
    const { root, serverName }: FleetFile = JSON.parse(await readFile(fleet.file, 'utf8'));
    await using hub = await startHubProcess(fleet.folder);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const get = (path: string): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${fleet.operatorToken}` };
        const options = { ...hub.operator, path, agent, headers, ca: root, servername: serverName };
        const outgoing = request(options, (response) => {
          const { statusCode: status } = response;
          buffer(response).then((body) => resolve({ status, body }), reject);
        });
        outgoing.once('error', reject).end();
      });
    const description: Description = JSON.parse((await get('/openapi.json')).body.toString('utf8'));
    await idle(hub);
    const costs: { readonly path: string; readonly milliseconds: number }[] = [];
    for (const path of pathsOf(description)) {
      const { status } = await get(path);
      if (status !== 200) {
        harness.note(`not measured: ${path} answers ${status}`);
        continue;
      }
      const before = await hub.mainThreadMs();
      let bytes = 0;
      for (let asked = 0; asked < requestsOfRoute; asked += 1) bytes = (await get(path)).body.length;
      const milliseconds = ((await hub.mainThreadMs()) - before) / requestsOfRoute;
      costs.push({ path, milliseconds });
      harness.figure(`${path} (${bytes} bytes)`, milliseconds, 'ms');
    }
    agent.destroy();
    const worst = costs.toSorted((a, b) => b.milliseconds - a.milliseconds)[0];
    harness.verdict(
      worst !== undefined && worst.milliseconds <= MILLISECONDS_MAX,
      `of ${costs.length} routes ${worst?.path} takes the most: ${worst?.milliseconds.toFixed(2)} ms (at most ${MILLISECONDS_MAX} ms)`,
    );
  },
};

// What a hub does after a start is paced, and takes longer on a busy machine.
async function idle(hub: HubProcess): Promise<void> {
  for (let calm = 0; calm < 6;) {
    const before = await hub.mainThreadMs();
    await delay(500);
    calm = (await hub.mainThreadMs()) - before < IDLE_MILLISECONDS_MAX ? calm + 1 : 0;
  }
}

function pathsOf({ paths }: Description): readonly string[] {
  return Object.entries(paths)
    .filter(([path]) => !/[{*]/.test(path))
    .flatMap(([path, { get }]) => {
      if (get === undefined) return [];
      const isPaged = get.parameters?.some(({ name }) => name === 'limit') === true;
      return [isPaged ? `${path}?limit=1000` : path];
    })
    .toSorted();
}
