// A relay in front of a TPM simulator that shows a clock which does not advance: TPM2_ReadClock is answered as the first time.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const readClockCode = 0x181;
const codeOffset = 6;

export async function frozenClock(simulator: string, path: string): Promise<AsyncDisposable> {
  let first: Buffer | undefined;
  const server = createServer((client) => {
    const tpm = connect({ path: simulator });
    let isClock = false;
    client.on('data', (command) => {
      isClock = command.readUInt32BE(codeOffset) === readClockCode;
      if (isClock && first !== undefined) client.write(first);
      else tpm.write(command);
    });
    tpm.on('data', (answer) => {
      if (isClock) first ??= Buffer.from(answer);
      client.write(answer);
    });
    client.on('error', () => undefined).on('close', () => tpm.destroy());
    tpm.on('error', () => undefined).on('close', () => client.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  return { [Symbol.asyncDispose]: async () => void server.close() };
}
