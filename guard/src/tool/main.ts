// `node tool/main.ts`: the guard's own code for publishers, without a hub or a device. One order on stdin, one report on stdout; the command
// line runs it as a separate process, because the runtime belongs to the guard and blocks. Follows spec/guard.md section 8.
import { buffer } from 'node:stream/consumers';
import { parseJson } from '@edgekeep/core/json';
import { messageOf } from '@edgekeep/core/message-of';
import { guardToolOrder, type GuardToolOrder, type GuardToolReport } from '@edgekeep/core/model/guard-tool';
import { GuardError } from '../error.ts';
import { calibrate } from './calibrate.ts';
import { check } from './check.ts';
import { tryModel } from './try.ts';

const report = await obey().catch(failure);
process.stdout.write(`${JSON.stringify(report)}\n`);

async function obey(): Promise<GuardToolReport> {
  const order = parseJson(await buffer(process.stdin), guardToolOrder, 'the order');
  return carryOut(order);
}

async function carryOut(order: GuardToolOrder): Promise<GuardToolReport> {
  switch (order.kind) {
    case 'check':
      return check(order.files, order.settings);
    case 'calibrate':
      return calibrate(order.files, order.images, order.calibration);
    case 'try':
      return tryModel(order);
  }
}

function failure(error: unknown): GuardToolReport {
  return { kind: 'failed', code: error instanceof GuardError ? error.code : 'internal', message: messageOf(error) };
}
