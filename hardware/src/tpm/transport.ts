// The connection to a TPM: bytes of one command out, bytes of one response in. A kernel device, or a socket that carries the same bytes.
import { type FileHandle, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { concat } from '@edgekeep/core/bytes';
import { endpointText, parseEndpoint } from '@edgekeep/core/canonical/endpoint';
import { hostText } from '@edgekeep/core/canonical/host';
import { CoreError } from '@edgekeep/core/error';
import { headerBytes, RESPONSE_BYTES_MAX, responseLength } from '@edgekeep/core/tpm/command';
import { HardwareError } from '../error.ts';
import { unreachable } from './unreachable.ts';

/** Takes one command at a time; the client above keeps the order. */
export interface TpmTransport {
  /** For messages, for example `unix:/run/tpm.sock`. */
  readonly address: string;
  transmit(command: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

export type TpmAddress =
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Making an RSA key may take a small TPM more than a minute; after this time it hangs. */
const ANSWER_MILLISECONDS_MAX = 150_000;
/** The first command on a socket is small. A simulator serves one connection at a time and lets the next one wait silently. */
const FIRST_ANSWER_MILLISECONDS_MAX = 15_000;

/** `device:/dev/tpmrm0`, `unix:/path` or `tcp:host:port`; an absolute path is a device. Undefined for anything else. */
export function parseTpmAddress(text: string): TpmAddress | undefined {
  if (text.startsWith('/')) return { kind: 'device', path: text };
  const path = /^(device|unix):(\/.+)$/.exec(text);
  if (path?.[2] !== undefined) return { kind: path[1] === 'unix' ? 'unix' : 'device', path: path[2] };
  return text.startsWith('tcp:') ? tcpAddress(text.slice('tcp:'.length)) : undefined;
}

// A TPM has no port of its own, so the last number is always one: the version before took an IPv6 address without brackets.
const withoutBrackets = /^([0-9a-f:.]*:[0-9a-f:.]*)(:\d{1,5})$/i;

function tcpAddress(text: string): TpmAddress | undefined {
  try {
    const { host, port } = parseEndpoint(text.replace(withoutBrackets, '[$1]$2'));
    return port === undefined ? undefined : { kind: 'tcp', host: hostText(host), port };
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** Opens the TPM at `address`; throws `tpm-unreachable` when there is none. */
export async function openTransport(address: TpmAddress): Promise<TpmTransport> {
  switch (address.kind) {
    case 'device':
      return openDevice(address.path);
    case 'unix':
      return openSocket(`unix:${address.path}`, () => connect({ path: address.path }));
    case 'tcp':
      return openSocket(`tcp:${endpointText(address)}`, () => connect({ host: address.host, port: address.port }));
  }
}

async function openDevice(path: string): Promise<TpmTransport> {
  const address = `device:${path}`;
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw unreachable(address, cause);
  });
  let hangs = false;
  return {
    address,
    transmit: async (command) => {
      try {
        return await beforeDeadline(transmitToDevice(file, command), address);
      } catch (cause) {
        if (!(cause instanceof HardwareError)) throw unreachable(address, cause);
        hangs = true;
        throw cause;
      }
    },
    // Closing waits for a read that never ends.
    close: async () => (hangs ? undefined : file.close()),
  };
}

/** The driver takes a command in one write and gives its response in one read. */
async function transmitToDevice(file: FileHandle, command: Uint8Array): Promise<Uint8Array> {
  await file.write(command);
  const buffer = new Uint8Array(RESPONSE_BYTES_MAX);
  const { bytesRead } = await file.read(buffer, 0, buffer.length);
  return buffer.subarray(0, bytesRead);
}

/** A driver that waits for its TPM for ever must not stop the agent without a word. */
async function beforeDeadline(answer: Promise<Uint8Array>, address: string): Promise<Uint8Array> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(silent(address, ANSWER_MILLISECONDS_MAX)), ANSWER_MILLISECONDS_MAX);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A simulator that was started again, or that answers again after a silence, is used again: a broken connection is opened anew. */
async function openSocket(address: string, dial: () => Socket): Promise<TpmTransport> {
  let socket = await connected(address, dial);
  let limit = FIRST_ANSWER_MILLISECONDS_MAX;
  let isClosed = false;
  return {
    address,
    transmit: async (command) => {
      if (socket.destroyed && !isClosed) {
        socket = await connected(address, dial);
        limit = FIRST_ANSWER_MILLISECONDS_MAX;
      }
      const response = await transmitToSocket(socket, address, command, limit);
      limit = ANSWER_MILLISECONDS_MAX;
      return response;
    },
    close: async () => {
      isClosed = true;
      socket.destroy();
    },
  };
}

async function connected(address: string, dial: () => Socket): Promise<Socket> {
  const socket = dial();
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => reject(unreachable(address, cause)));
  });
  socket.removeAllListeners('error');
  // The next command notices a socket that breaks between two commands.
  socket.on('error', () => undefined);
  // The TPM must not keep the process alive: it only answers.
  socket.unref();
  return socket;
}

function transmitToSocket(
  socket: Socket,
  address: string,
  command: Uint8Array,
  maxMilliseconds: number,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received: Uint8Array = new Uint8Array(0);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      socket.unref();
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error));
    const onClose = () => fail(unreachable(address, 'the connection was closed'));
    const onData = (chunk: Buffer) => {
      received = concat(received, chunk);
      if (received.length < headerBytes) return;
      try {
        const length = responseLength(received);
        if (received.length < length) return;
        if (received.length > length) throw new HardwareError('tpm-response-invalid', 'bytes behind the response');
        finish(() => resolve(received));
      } catch (error) {
        socket.destroy();
        fail(error);
      }
    };
    const timer = setTimeout(() => {
      socket.destroy();
      fail(silent(address, maxMilliseconds));
    }, maxMilliseconds);
    if (socket.destroyed) return fail(unreachable(address, 'the connection is closed'));
    socket.ref();
    socket.on('data', onData).on('close', onClose);
    socket.write(command);
  });
}

function silent(address: string, maxMilliseconds: number): HardwareError {
  const hint = maxMilliseconds === FIRST_ANSWER_MILLISECONDS_MAX ? ': does another program use it?' : '';
  return new HardwareError('tpm-timeout', `${address}: no answer in ${maxMilliseconds / 1000} s${hint}`);
}
