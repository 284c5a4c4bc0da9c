// One GET on a socket of the agent's.
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';

export async function get(
  socketPath: string,
  path: string,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, agent: false }, resolve).once('error', reject).end();
  });
  return { status: response.statusCode ?? 0, body: await buffer(response) };
}
