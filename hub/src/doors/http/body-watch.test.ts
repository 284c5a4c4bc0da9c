import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { BodyWatch, type WatchedRequest } from './body-watch.ts';

/** The part of a request that the watch reads. */
function requestOf(config: object, bytes: { read: number; unread: number }) {
  const socket = new Socket();
  Object.defineProperty(socket, 'bytesRead', { get: () => bytes.read });
  const events = new EventEmitter();
  const raw = {
    complete: false,
    socket,
    once: (event: 'close', listener: () => void) => events.once(event, listener),
    get readableLength() {
      return bytes.unread;
    },
  };
  const request: WatchedRequest = { raw, headers: { 'content-length': '1000000' }, routeOptions: { config } };
  return { socket, request, events };
}

function watched(config: object) {
  let nowMs = 0;
  const bytes = { read: 0, unread: 0 };
  const watch = new BodyWatch({ idleSeconds: 10, minBytesPerSecond: 100 }, () => nowMs);
  const { socket, request, events } = requestOf(config, bytes);
  const answer = new EventEmitter();
  watch.watch(request, answer);
  const after = (ms: number, read = 0) => {
    nowMs += ms;
    bytes.read += read;
    watch.look();
    return socket.destroyed;
  };
  return { bytes, after, answered: () => answer.emit('finish'), closed: () => events.emit('close') };
}

// SECURITY.md: HUB-43
test('a body that is read whole has half a minute, however it trickles in', () => {
  const { after } = watched({});
  for (let second = 1; second <= 30; second += 1) assert.equal(after(1_000, 100_000), false);
  assert.equal(after(1_000, 100_000), true);
});

// SECURITY.md: HUB-43
test('a streamed body goes on for hours while bytes come, and is cut when next to none do', () => {
  const { after } = watched({ streamed: true });
  for (let minute = 0; minute < 600; minute += 1) assert.equal(after(9_000, 1_000), false);
  assert.equal(after(10_000, 999), false);
  assert.equal(after(1, 0), true);
});

test('a streamed body that the hub itself is slow to take is not cut', () => {
  const { bytes, after } = watched({ streamed: true });
  bytes.unread = 65_536;
  for (let minute = 0; minute < 10; minute += 1) assert.equal(after(60_000), false);
  bytes.unread = 0;
  assert.equal(after(60_000), true);
});

// SECURITY.md: HUB-43
test('a streamed body that goes on for half a minute after its answer is cut, however fast it comes', () => {
  const { after, answered } = watched({ streamed: true });
  for (let minute = 0; minute < 10; minute += 1) assert.equal(after(9_000, 1_000_000), false);
  answered();
  for (let second = 1; second <= 30; second += 1) assert.equal(after(1_000, 1_000_000), false);
  assert.equal(after(1_000, 1_000_000), true);
});

test('a sender whose body the hub stopped to read, and answered, is cut half a minute later', () => {
  const { bytes, after, answered, closed } = watched({ streamed: true });
  bytes.unread = 65_536;
  closed();
  answered();
  assert.equal(after(30_000), false);
  assert.equal(after(1), true);
});
