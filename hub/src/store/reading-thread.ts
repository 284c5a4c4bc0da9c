// The thread that runs slow reads (store/apart.ts): its own connection, which cannot write.
import { performance } from 'node:perf_hooks';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

export interface Asked {
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
  /** The port for the response. */
  readonly port: MessagePort;
}

export type Answered<R> = ({ readonly rows: R[] } | { readonly error: string }) & {
  /** The hub has a fixed set of queries; filters add new ones. */
  readonly milliseconds: number;
};

// The hub has a fixed set of queries; filters add new ones.
const STATEMENTS_MAX = 200;

if (parentPort !== null) answerOn(parentPort, String(workerData));

function answerOn(questions: NonNullable<typeof parentPort>, path: string): void {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  const prepared = new Map<string, StatementSync>();
  const statementOf = (sql: string) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    if (prepared.size >= STATEMENTS_MAX) prepared.clear();
    const statement = database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  const answerTo = ({ sql, parameters }: Asked): Answered<unknown> => {
    const beganMs = performance.now();
    const took = () => performance.now() - beganMs;
    try {
      return { rows: statementOf(sql).all(...parameters), milliseconds: took() };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error), milliseconds: took() };
    }
  };
  questions.on('message', (asked: Asked) => {
    asked.port.postMessage(answerTo(asked), []);
    asked.port.close();
  });
}
