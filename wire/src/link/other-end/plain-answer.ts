// Who answers at a port without TLS: one short request of HTTP without any name, token or body. A captive portal answers every connection by a
// redirection to its login.
import { printable } from '@edgekeep/core/canonical/printable';
import { connect } from 'node:net';

export type PlainAnswer =
  | { readonly kind: 'http'; readonly status: number }
  /** `place` is where it leads, for people; undefined where it did not say. */
  | { readonly kind: 'portal'; readonly place: string | undefined }
  | { readonly kind: 'none' };

const ANSWER_BYTES_MAX = 16_384;
const ANSWER_MILLISECONDS_MAX = 3_000;
const PLACE_CHARACTERS_MAX = 200;

/** Asks once; never rejects. */
export async function askWithoutTls(endpoint: { readonly host: string; readonly port: number }): Promise<PlainAnswer> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(endpoint, () => socket.write('GET / HTTP/1.0\r\n\r\n'));
  let answer = '';
  const isWhole = () => answer.includes('\r\n\r\n') || answer.length >= ANSWER_BYTES_MAX;
  const timer = setTimeout(resolve, ANSWER_MILLISECONDS_MAX);
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
    if (isWhole()) resolve();
  });
  socket.once('error', () => resolve()).once('close', () => resolve());
  await promise;
  clearTimeout(timer);
  socket.destroy();
  return answerIn(answer.slice(0, ANSWER_BYTES_MAX));
}

function answerIn(text: string): PlainAnswer {
  const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r\n]/.exec(text)?.[1] ?? 0);
  if (status === 0) return { kind: 'none' };
  // A URL has no spaces: what follows one would be read as words of ours.
  const place = /\r\nlocation:[ \t]*(\S+)/i.exec(text.split('\r\n\r\n', 1)[0] ?? '')?.[1];
  // RFC 6585 section 6: 511 is a network that wants a login.
  const isPortal = status === 511 || (status >= 300 && status < 400 && place !== undefined);
  if (!isPortal) return { kind: 'http', status };
  return { kind: 'portal', place: place === undefined ? undefined : printable(place, PLACE_CHARACTERS_MAX) };
}
