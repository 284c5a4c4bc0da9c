// What a person does with the packages, by `edgekeep` on the path alone: a hub, a publisher, a model, a device without a TPM that enrolls and
// serves. Runs in any root file system where both packages are installed. Prints one JSON line. Plain JavaScript for the Node of a package.
// usage: node walk.mjs HUB-FOLDER AGENT-FOLDER MODELS [COMMAND [AGENT-COMMAND…]]
// AGENT-COMMAND starts the agent of another system, in place of `COMMAND agent run`; WALK_KIT has the root of trust of the device.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [hubFolder, agentFolder, models, command = 'edgekeep', ...agentCommand] = process.argv.slice(2);
const rootOfTrust = (process.env.WALK_KIT ?? '--software').split(' ');
const work = mkdtempSync(join(tmpdir(), 'edgekeep-walk-'));
const operator = join(work, 'ada.json');
const running = [];
const deadlineMs = Number(process.env.WALK_SECONDS ?? 240) * 1_000;

function edgekeep(...words) {
  const env = { ...process.env, EDGEKEEP_OPERATOR: operator };
  const { status, stdout, stderr, error } = spawnSync(command, words, { cwd: work, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${error?.message ?? stderr + stdout}`);
  return stdout;
}

/** A service in the foreground; resolves with the first match in what it prints. */
function start(pattern, program, ...words) {
  // As the unit of the agent has it.
  const cache = '/var/cache/edgekeep/agent';
  const env = words[0] === 'agent' && existsSync(cache) ? { ...process.env, NODE_COMPILE_CACHE: cache } : process.env;
  const child = spawn(program, words, { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let text = '';
  return new Promise((resolve, reject) => {
    const read = (chunk) => {
      text += chunk;
      if (pattern.test(text)) resolve(child);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`${words.join(' ')} ended with ${code}: ${text}`)));
    setTimeout(() => reject(new Error(`${words.join(' ')} does not get ready: ${text}`)), deadlineMs).unref();
  });
}

function ask(socketPath, path, body) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: body === undefined ? 'GET' : 'POST' }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk)).on('end', () => resolve({ status: answer.statusCode, text }));
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/** Resident and proportional memory of a process, in MB. */
function memoryOf(pid) {
  const file = `/proc/${pid}/smaps_rollup`;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 'NaN') / 1_000;
  return { residentMegabytes: of('Rss'), proportionalMegabytes: of('Pss') };
}

const policy = `@id("walk") permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { principal in resource.groups && context.attestation.status == "warning" };
`;

/** Of ports that are free now. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function walk() {
  const [devicePort, operatorPort] = [await freePort(), await freePort()];
  const settings = { device: { port: devicePort }, operator: { port: operatorPort } };
  edgekeep('hub', 'init', '--data', hubFolder, '--settings', JSON.stringify(settings));
  const hub = await start(/ready: /, command, 'hub', 'run', '--data', hubFolder);
  edgekeep('hub', 'claim', '--operator', join(hubFolder, 'operator.json'), '--name', 'ada', '--out', operator);
  edgekeep('model', 'keygen', '--out', 'publisher.pem');
  edgekeep('publisher', 'trust', 'publisher.pub.pem', '--name', 'walk');
  const guard = ['--guard', join(models, 'guard.json'), '--fallback', join(models, 'models/fallback.onnx')];
  const release = ['--name', 'inspect', '--version', '1.0.0', '--key', 'publisher.pem'];
  edgekeep('model', 'publish', join(models, 'models/primary.onnx'), ...release, ...guard, '--no-ort');
  writeFileSync(join(work, 'policy.cedar'), policy);
  edgekeep('policy', 'apply', 'policy.cedar');
  edgekeep('group', 'create', 'presses');
  edgekeep('model', 'assign', 'inspect', 'presses');
  writeFileSync(join(work, 'devices.jsonl'), `${JSON.stringify({ id: 'press-7', groups: ['presses'] })}\n`);
  edgekeep('device', 'import', 'devices.jsonl');
  edgekeep(
    'enroll',
    'kit',
    'press-7',
    '--out',
    agentFolder,
    '--model',
    'inspect',
    ...rootOfTrust,
    '--hub',
    '127.0.0.1',
  );
  const agentWords = agentCommand.length > 0 ? agentCommand : [command, 'agent', 'run'];
  const enrolled = start(/"kind":"serving"/, ...agentWords, '--state', agentFolder);
  const agent = await enrolled;
  const socket = join(agentFolder, 'run/inspect.sock');
  await whenThere(() => existsSync(socket));
  const { status, text } = await ask(socket, '/v2/models/inspect');
  const { inputs } = JSON.parse(text);
  const sizes = inputs.map(({ name, datatype, shape }) => {
    const whole = shape.map((size) => (size < 1 ? 1 : size));
    return { name, datatype, shape: whole, data: Array(whole.reduce((a, b) => a * b, 1)).fill(0) };
  });
  const inferred = await ask(socket, '/v2/models/inspect/infer', JSON.stringify({ inputs: sizes }));
  const pid = children(agent.pid).find((each) => commandOf(each).includes('agent/src/main')) ?? agent.pid;
  return {
    model: status,
    inference: inferred.status,
    outputs: JSON.parse(inferred.text).outputs?.map(({ name }) => name),
    agent: memoryOf(pid),
    receipt: receiptOf(),
    hubRuns: hub.exitCode === null,
  };
}

function receiptOf() {
  edgekeep('receipt', 'get', '--out', 'receipt.json');
  return existsSync(join(work, 'receipt.json'));
}

const commandOf = (pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8');
const children = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

async function whenThere(isThere) {
  const end = Date.now() + deadlineMs;
  while (!isThere()) {
    if (Date.now() > end) throw new Error('a step does not end in time');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

try {
  process.stdout.write(`${JSON.stringify(await walk())}\n`);
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
} finally {
  for (const child of running.filter(({ exitCode }) => exitCode === null)) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  rmSync(work, { recursive: true, force: true });
}
