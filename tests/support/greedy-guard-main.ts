// For tests: an agent's part around one guard, both in one container. The model takes as much memory as a request says. Prints as JSON how the guard
// ended, and what the public socket answers afterwards.
import { onnxMediaType } from '@edgekeep/core/model/guard-files';
import { greedyModel } from '@edgekeep/guard/fixtures/hostile-models';
import { ask, openBytes, startGuard } from '@edgekeep/agent/guard/testing';
import { GuardListener } from '@edgekeep/agent/guard/listener';
import { guardProgram } from '@edgekeep/agent/guard/program';
import { findSandbox } from '@edgekeep/agent/guard/sandbox-probe';

const socketPath = '/run/light.sock';
const program = guardProgram();
// Its own limit of memory would be the first to say no.
const sandbox = await findSandbox(program, { exclude: ['memory-limit'] });
const bytes = greedyModel();
const file = await openBytes(bytes);
const { descriptor } = file;
using listener = await GuardListener.open({ socketPath, loopbackPort: undefined });
const guard = await startGuard(
  {
    files: [{ path: 'm.onnx', role: 'primary', mediaType: onnxMediaType, size: bytes.length, descriptor }],
    memory: [file],
  },
  { program, sandbox, doors: await listener.prepare() },
);
listener.serve(guard);
const zeros = (count: number) =>
  ask(
    { socketPath },
    '/v2/models/light/infer',
    JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'INT64', data: [count] }] }),
  );
const small = await zeros(3);
const large = await zeros(400_000_000).then(
  ({ status }) => status,
  () => 'connection lost',
);
const { asked, signal } = await guard.exited;
const { status } = await ask({ socketPath }, '/v2/health/ready');
process.stdout.write(JSON.stringify({ small: small.status, large, asked, signal, afterwards: status }));
