import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GuardError } from '../error.ts';
import { endlessModel, hugeModel, strayingModel } from '../fixtures/hostile-models.ts';
import { externalLocations } from './onnx-locations.ts';
import { ModelSession } from './session.ts';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));

test('the files that a model takes weights from are found, and a model without any has none', () => {
  assert.deepEqual([...externalLocations(fixture('external.onnx'))], ['external.bin']);
  assert.deepEqual([...externalLocations(fixture('primary.onnx'))], []);
  assert.deepEqual([...externalLocations(endlessModel())], []);
  assert.deepEqual([...externalLocations(strayingModel('/etc/passwd'))], ['/etc/passwd']);
});

// SECURITY.md: DEV-42
test('a model that names a file outside of itself is refused before the runtime opens it', async () => {
  for (const location of ['/proc/cpuinfo', '../secret', 'a/../../secret', './weights.bin', 'weights.bin', '']) {
    const model = { format: 'onnx', bytes: strayingModel(location), externalData: [] } as const;
    await assert.rejects(ModelSession.open(model), {
      name: 'GuardError',
      code: 'model-load',
      message: /not among its files/,
    });
  }
});

test('a model whose own files lie outside of its folder is refused', async () => {
  const bytes = Buffer.alloc(16);
  for (const location of ['/weights.bin', '../weights.bin', 'a/../weights.bin', 'a\\weights.bin']) {
    const model = { format: 'onnx', bytes: strayingModel(location), externalData: [{ location, bytes }] } as const;
    await assert.rejects(ModelSession.open(model), { code: 'model-load', message: /outside of its folder/ });
  }
});

test('a declared shape that no request can have is refused by name', async () => {
  const model = { format: 'onnx', bytes: hugeModel(), externalData: [] } as const;
  await assert.rejects(ModelSession.open(model), {
    code: 'model-interface',
    message: /declares 1000000000000 elements/,
  });
});

test('random and cut bytes are read or refused by name, and never anything else', () => {
  const known = fixture('external.onnx');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(known.length).map((at) => known.subarray(0, at)),
      ),
      (bytes) => {
        try {
          externalLocations(bytes);
        } catch (error) {
          assert.ok(error instanceof GuardError && error.code === 'model-load');
        }
      },
    ),
  );
});
