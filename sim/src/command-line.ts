// `npm start`: the main job with a hub and four devices on this machine, reported as it happens. Runs until Ctrl-C.
import { counted } from '@edgekeep/core/counted';
import { messageOf } from '@edgekeep/core/message-of';
import { endpointText, httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from '@edgekeep/cli/table';
import { type Demo, demoModel, startDemo } from './demo.ts';
import type { DemoPorts } from './demo-hub.ts';
import { failureLine } from './failure.ts';
import { type Tally, tallyTestSet } from './predictions.ts';
import { proveRelease } from './proof.ts';
import { type Progress, startProgress } from './progress.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const imagesAsked = 25;
const usage = `usage: npm start -- [--exit-when-done] [--allow-software] [--data DIR] [--device-port N] [--operator-port N]

--exit-when-done  exit when every device has its outcome; exit code 0 only if each outcome is the expected one
--allow-software  apply a policy that releases keys to software-only devices too
--data            where everything is kept between starts (default: .demo)
--device-port     where devices connect (default: 8443, or a free port when it is in use)
--operator-port   where operators connect (default: 8444, or a free port when it is in use)
`;

/** Runs the demo; returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        'exit-when-done': { type: 'boolean' },
        'allow-software': { type: 'boolean' },
        data: { type: 'string' },
        'device-port': { type: 'string' },
        'operator-port': { type: 'string' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n${usage}`);
    return 2;
  }
  if (values.help === true) {
    process.stdout.write(usage);
    return 0;
  }
  const ports = { device: portOf(values['device-port']), operator: portOf(values['operator-port']) };
  if (ports.device === 'invalid' || ports.operator === 'invalid') {
    process.stderr.write(`a port is a number from 1 to ${PORT_MAX}\n${usage}`);
    return 2;
  }
  const folder = resolve(values.data ?? join(root, '.demo'));
  try {
    return await run(folder, {
      exitWhenDone: values['exit-when-done'] === true,
      allowSoftware: values['allow-software'] === true,
      ports: { device: ports.device, operator: ports.operator },
    });
  } catch (error) {
    const line = failureLine(error, folder);
    // Anything else is a bug in this program, and its message says where.
    if (line === undefined) throw error;
    process.stderr.write(`npm start: ${line}\n`);
    return 1;
  }
}

const PORT_MAX = 65_535;

function portOf(text: string | undefined): number | undefined | 'invalid' {
  if (text === undefined) return undefined;
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= PORT_MAX ? port : 'invalid';
}

async function run(
  folder: string,
  {
    exitWhenDone,
    allowSoftware,
    ports,
  }: {
    readonly exitWhenDone: boolean;
    readonly allowSoftware: boolean;
    readonly ports: DemoPorts;
  },
): Promise<number> {
  const stopped = stopSignal();
  const progress = startProgress(
    (text) => process.stdout.write(text),
    () => performance.now(),
  );
  await using demo = await startDemo(folder, { allowSoftware, ports, progress });
  const good = await tell(demo, folder, progress);
  const devices = `hub and ${counted(demo.outcomes.length, 'device')}`;
  if (exitWhenDone) {
    process.stdout.write(
      `ready: ${devices} ran${good ? ', every outcome as expected' : ', NOT every outcome as expected'}\n`,
    );
    return good ? 0 : 1;
  }
  process.stdout.write(`ready: ${devices} are running; Ctrl-C stops them\n`);
  await stopped;
  process.stdout.write('stopping\n');
  return 0;
}

async function tell(demo: Demo, folder: string, progress: Progress): Promise<boolean> {
  const rows: string[][] = [];
  const proven: boolean[] = [];
  for (const outcome of demo.outcomes) {
    const serving = outcome.end === 'serving';
    const tally = serving
      ? await tallyTestSet(outcome.socketPath, demoModel.name, demo.testImages, imagesAsked)
      : undefined;
    rows.push([
      outcome.deviceId,
      outcome.tier,
      outcome.end,
      outcome.asExpected ? 'yes' : 'NO',
      tally === undefined ? shortened(outcome.why) : tallyText(tally),
    ]);
  }
  const released = demo.outcomes.find(({ lease }) => lease !== undefined);
  if (released?.lease !== undefined) {
    progress.say('waiting for the devices to cosign the log');
    const { verdict, receiptFile, trustFile } = await proveRelease(demo.hub.operator, released.lease, folder);
    proven.push(verdict.kind === 'verified');
    progress.say(
      verdict.kind === 'verified'
        ? `receipt of ${released.deviceId} verified offline: entry ${verdict.summary.log.index} of ${verdict.summary.log.checkpoint.size}, cosigned by ${counted(verdict.summary.log.cosignatures.length, 'device')}`
        : `receipt does NOT verify: ${verdict.reasons.join('; ')}`,
    );
    printSummary(rows, demo, [
      `npx edgekeep device list --operator ${short(demo.hub.operatorFile)}`,
      `npx edgekeep receipt verify ${short(receiptFile)} --trust ${short(trustFile)}`,
      `npx edgekeep device quarantine ${released.deviceId} --reason "trying it" --operator ${short(demo.hub.operatorFile)}`,
    ]);
  } else {
    printSummary(rows, demo, [
      `npx edgekeep device list --operator ${short(demo.hub.operatorFile)}`,
      `npx edgekeep audit show --operator ${short(demo.hub.operatorFile)}`,
      'npx edgekeep doctor',
    ]);
  }
  return demo.outcomes.every(({ asExpected }) => asExpected) && proven.every(Boolean);
}

function printSummary(rows: readonly (readonly string[])[], demo: Demo, commands: readonly string[]): void {
  const { operatorAddress, deviceAddress } = demo.hub.hub;
  const degraded = [...new Set(demo.outcomes.flatMap((outcome) => outcome.degraded))];
  process.stdout.write(`
${table([['DEVICE', 'ROOT OF TRUST', 'ENDED', 'AS EXPECTED', 'WHY'], ...rows])}

operator API  ${httpsUrl(operatorAddress)}  (OpenAPI: /openapi.json)
devices       ${endpointText(deviceAddress)}, mutual TLS 1.3
${degraded.length === 0 ? '' : `the guard runs without: ${degraded.join('; ')}\n`}
try next:
${commands.map((command) => `  ${command}`).join('\n')}

`);
}

function tallyText({ images, accepted, fallback, review, right }: Tally): string {
  return `${images} images: ${accepted} accepted, ${fallback} by the fallback, ${review} for review; ${right} of ${accepted + fallback} right`;
}

// The log and `edgekeep device show` have whole digests; here the first digits distinguish them.
function shortened(why: string): string {
  return why.replaceAll(/([0-9a-f]{8})[0-9a-f]{56}/g, '$1…');
}

function short(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
