// `node optimise-main.ts IN.onnx OUT.ort`: writes the twin that devices load without copying its weights. The publisher's command line runs
// it in a separate process, because converting blocks and may need much memory. Follows spec/guard.md section 5.
import { InferenceSession } from './model/runtime.ts';
import { runtimeMessage } from './model/runtime-message.ts';

const [input, output, ...rest] = process.argv.slice(2);
if (input === undefined || output === undefined || rest.length > 0) {
  process.stderr.write('usage: optimise-main.ts IN.onnx OUT.ort\n');
  process.exit(2);
}
try {
  const session = await InferenceSession.create(input, {
    executionProviders: ['cpu'],
    // Beyond `basic` the graph would be rewritten for this machine's processor, not for the device's.
    graphOptimizationLevel: 'basic',
    optimizedModelFilePath: output,
    logSeverityLevel: 3,
    extra: { session: { save_model_format: 'ORT' } },
  });
  await session.release();
} catch (error) {
  process.stderr.write(`optimise-main.ts: ${runtimeMessage(error)}\n`);
  process.exit(3);
}
