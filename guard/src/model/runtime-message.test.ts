import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeMessage } from './runtime-message.ts';

test('messages of the runtime reach people without colors, places and functions of its C++ code', () => {
  for (const [raw, plain] of [
    [
      'Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cpu/text/string_normalizer.cc:235 onnxruntime::StringNormalizer::Locale::Locale(const std::string&)::<lambda()> Failed to construct locale with name:en_US.UTF-8\n',
      'Exception during initialization: Failed to construct locale with name:en_US.UTF-8',
    ],
    [
      '\u001b[1;31m2026-11-30 15:08:34.151076959 [E:onnxruntime:, inference_session.cc:3106 operator()] No such node\u001b[m',
      'No such node',
    ],
    [
      '/onnxruntime_src/onnxruntime/core/graph/model.cc:180 onnxruntime::Model::Model(int, bool) Unsupported model IR version: 99',
      'Unsupported model IR version: 99',
    ],
    ['Load model failed: Protobuf parsing failed.', 'Load model failed: Protobuf parsing failed.'],
  ] as const) {
    assert.equal(runtimeMessage(new Error(raw)), plain);
  }
});
