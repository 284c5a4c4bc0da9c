// Uses a served model as an application on the device does, once and continuously; and waits for conditions.
import assert from 'node:assert/strict';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { type Answer, ask } from '@edgekeep/guard/fixtures/client';

/** The classifiers among the guard's fixtures: "dark" or "bright" from the mean of an 8 x 8 image. */
const pixels = 64;

export function askAbout(socketPath: string, model: string, brightness: number): Promise<Answer> {
  const data = Array.from({ length: pixels }, () => brightness);
  const inputs = [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data }];
  return ask(socketPath, 'POST', `/v2/models/${model}/infer`, JSON.stringify({ inputs }));
}

/** The scores of [dark, bright]; the answer must be successful. */
async function scores(socketPath: string, model: string, brightness: number): Promise<readonly number[]> {
  const { status, body } = await askAbout(socketPath, model, brightness);
  assert.equal(status, 200, JSON.stringify(body));
  return (body.outputs?.[0]?.data ?? []).map(Number);
}

export async function assertTellsDarkFromBright(socketPath: string, model: string): Promise<void> {
  for (const brightness of [0.1, 0.9]) {
    const [dark = 0, bright = 0] = await scores(socketPath, model, brightness);
    assert.equal(bright > dark, brightness > 0.5, `scores ${dark} and ${bright} for ${brightness}`);
  }
}

/** Asks without a pause until it is stopped: `await using`, so that it stops also when the test fails. */
export class Asker implements AsyncDisposable {
  answered = 0;
  readonly failures: string[] = [];
  #stopped = false;
  readonly #running: Promise<unknown>;

  constructor(socketPath: string, model: string, lanes = 2) {
    const lane = async () => {
      while (!this.#stopped) {
        try {
          const { status, body } = await askAbout(socketPath, model, 0.9);
          if (status === 200) this.answered += 1;
          else this.failures.push(`${status} ${JSON.stringify(body)}`);
        } catch (error) {
          this.failures.push(String(error));
        }
        await setImmediate();
      }
    };
    this.#running = Promise.all(Array.from({ length: lanes }, lane));
  }

  /** Waits for `count` more answers. */
  async moreAnswers(count: number): Promise<void> {
    const goal = this.answered + count;
    await until(() => this.answered >= goal || this.failures.length > 0, `${count} more answers`);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Only a fault takes this long: `bench/` measures speed. */
const patienceMilliseconds = 120_000;

/** Polls until it is true. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const given = AbortSignal.timeout(patienceMilliseconds);
  while (!(await isTrue())) {
    if (given.aborted) throw new Error(`it never came true: ${what}`);
    await delay(10);
  }
}
