import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { guardOrderSchema, guardReportSchema } from './guard-protocol.ts';

const file = { path: 'a.ort', role: 'primary', mediaType: 'application/x-onnxruntime', size: 10, descriptor: 4 };
const configure = { kind: 'configure', model: { name: 'a', version: '1' }, files: [file] };
const counts = {
  accepted: 1,
  fallback: 0,
  review: 2,
  unguarded: 0,
  refused: 0,
  failed: 0,
  reasons: { 'noise-high': 2 },
};

test('orders and reports of the protocol are read', () => {
  for (const order of [configure, { kind: 'ping' }, { kind: 'retire' }, { kind: 'stop' }])
    assert(guardOrderSchema.safeParse(order).success);
  for (const report of [
    { kind: 'files-read' },
    { kind: 'ready', guarded: true, fallback: false },
    { kind: 'failed', code: 'model-load', message: '' },
    { kind: 'counts', counts },
    { kind: 'stopped', counts },
  ]) {
    assert(guardReportSchema.safeParse(report).success, report.kind);
  }
});

test('an order that names a standard stream as a model file is refused', () => {
  assert(!guardOrderSchema.safeParse({ ...configure, files: [{ ...file, descriptor: 2 }] }).success);
});

test('an unknown kind or field, an unknown reason, a negative or broken count are refused', () => {
  for (const report of [
    { kind: 'key' },
    { kind: 'files-read', input: [1] },
    { kind: 'counts', counts: { ...counts, reasons: { other: 1 } } },
    { kind: 'counts', counts: { ...counts, accepted: -1 } },
    { kind: 'counts', counts: { ...counts, accepted: 0.5 } },
  ]) {
    assert(!guardReportSchema.safeParse(report).success, JSON.stringify(report));
  }
});

test('no random value makes the reader throw', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      guardOrderSchema.safeParse(value);
      guardReportSchema.safeParse(value);
    }),
  );
});
