// The bare cryptography of a release, in a process of its own, measured while a hub works: what makes the machine slow makes both slow.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BareAnswer, BareOrder } from '../children/bare-release.ts';
import { ownProcess } from './owned.ts';

export interface BareProcess {
  measure(order: BareOrder): Promise<BareAnswer>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function startBare(): BareProcess {
  const child = ownProcess(fork(fileURLToPath(import.meta.resolve('../children/bare-release.ts'))));
  const exited = once(child, 'exit');
  return {
    async measure(order) {
      const answered = Promise.withResolvers<BareAnswer>();
      const failed = () => answered.reject(new Error('the process of the bare cryptography ended'));
      child.once('exit', failed);
      child.once('message', ({ answer }: { readonly answer: BareAnswer }) => answered.resolve(answer));
      child.send(order);
      try {
        return await answered.promise;
      } finally {
        child.off('exit', failed);
      }
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}
