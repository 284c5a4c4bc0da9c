// What a device would say of a model, asked before anything is signed: the guard's own checks, in a process of its own.
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { GuardToolReport } from '@edgekeep/core/model/guard-tool';
import { guardFiles } from '../guard/model-files.ts';
import { GuardRefusal, runGuardTool } from '../guard/tool.ts';
import { UsageError } from '../command.ts';
import type { SourceFile } from '../guard/model-sources.ts';

type Interface = Extract<GuardToolReport, { kind: 'checked' }>['primary'];

/**
 * Tells the model's real interface, and warnings, as progress. A model that only programs use has none.
 * @throws GuardRefusal what no device can serve
 */
export async function checkAsDevice(
  sources: readonly SourceFile[],
  settings: GuardSettings | undefined,
  progress: (step: string) => void,
): Promise<void> {
  const files = guardFiles(sources);
  if (files.length === 0) {
    if (settings === undefined) return;
    throw new UsageError('guard settings are for a model that the guard runs: there is no .onnx or .ort file');
  }
  try {
    const { primary, fallback, warnings } = await runGuardTool({ kind: 'check', files, settings }, 'checked');
    for (const line of interfaceLines('primary', primary)) progress(line);
    if (fallback !== undefined) for (const line of interfaceLines('fallback', fallback)) progress(line);
    for (const warning of warnings) progress(`warning: ${warning}`);
  } catch (error) {
    if (!(error instanceof GuardRefusal)) throw error;
    const why = `no device can serve this model: ${error.message} (--force publishes it for programs alone)`;
    throw new GuardRefusal(error.code, why);
  }
}

function interfaceLines(role: string, { inputs, outputs }: Interface): readonly string[] {
  const line = (kind: string) => (each: Interface['inputs'][number]) =>
    `${role} ${kind} ${each.name}: ${each.datatype} [${each.shape.join(',')}]`;
  return [...inputs.map(line('input')), ...outputs.map(line('output'))];
}
