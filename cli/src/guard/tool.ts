// The guard's tool for publishers (spec/guard.md section 8), run as a separate process: the runtime belongs to the guard.
import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { parseJson } from '@edgekeep/core/json';
import { guardToolReport, type GuardToolOrder, type GuardToolReport } from '@edgekeep/core/model/guard-tool';
import { findProgram, keyProcessOptions } from '../program.ts';

type Kind = GuardToolReport['kind'];

/** The guard cannot do it; `code` is one of the guard's (docs/errors.md). */
export class GuardRefusal extends Error {
  override readonly name = 'GuardRefusal';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws GuardRefusal with the guard's own words */
export async function runGuardTool<K extends Exclude<Kind, 'failed'>>(
  order: GuardToolOrder,
  expected: K,
): Promise<Extract<GuardToolReport, { kind: K }>> {
  const { node, file } = findProgram('@edgekeep/guard/tool/main');
  const child = spawn(node, [...keyProcessOptions, file], {
    // The runtime writes its log to stderr, for its own makers; what matters is in the report.
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(order));
  const [bytes, end] = await Promise.all([buffer(child.stdout), exited]);
  if (bytes.length === 0)
    throw new GuardRefusal('model-load', `the runtime ended (${end}) on this model, and would end on a device too`);
  const report = parseJson(bytes, guardToolReport, 'the report of the guard');
  if (report.kind === 'failed') throw new GuardRefusal(report.code, report.message);
  if (!isKind(report, expected)) throw new GuardRefusal('internal', `the guard reported ${report.kind}`);
  return report;
}

function isKind<K extends Kind>(report: GuardToolReport, kind: K): report is Extract<GuardToolReport, { kind: K }> {
  return report.kind === kind;
}
