import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { AgentStatus } from '../status.ts';
import { metricsText } from './metrics.ts';

const status: AgentStatus = {
  deviceId: 'press-7',
  tier: 'tpm',
  state: 'online',
  connected: true,
  why: '',
  hubFailure: 'tls-intercepted',
  proxy: 'http://proxy.plant.example:3128',
  certificateNotAfter: 1_795_840_285_000,
  attestation: { status: 'affirming', tier: 'tpm', at: 1_795_235_485_000, reasons: [], deviceState: 'active' },
  log: { size: 24, continues: true, forked: false },
  models: [
    {
      name: 'a"b',
      state: 'serving',
      why: '',
      version: '1.0.0',
      lease: { id: 'l', notAfter: 1_795_236_085_000, renewAfter: 0 },
      socket: null,
      loopbackPort: null,
      guard: {
        guarded: true,
        fallback: true,
        degraded: [],
        processId: 1,
        counts: {
          accepted: 3,
          fallback: 0,
          review: 1,
          unguarded: 0,
          refused: 2,
          failed: 0,
          reasons: { 'noise-high': 1 },
        },
      },
    },
  ],
};

const namesIn = (text: string) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);

test('states, counts and times are samples with their labels', () => {
  const text = metricsText(status, ['landlock']);
  for (const line of [
    'edgekeep_agent_state{state="online"} 1',
    'edgekeep_agent_state{state="offline"} 0',
    'edgekeep_agent_hub_failure_info{code="tls-intercepted"} 1',
    'edgekeep_agent_log_size 24',
    'edgekeep_agent_certificate_end_timestamp_seconds 1795840285',
    'edgekeep_model_state{model="a\\"b",state="serving"} 1',
    'edgekeep_inference_answers_total{model="a\\"b",verdict="review"} 1',
    'edgekeep_inference_reasons_total{model="a\\"b",reason="noise-high"} 1',
    'edgekeep_guard_walls_missing 1',
  ])
    assert.ok(text.includes(`\n${line}\n`), `${line} in\n${text}`);
});

test('docs/device-metrics.md has every metric, and no other', () => {
  const page = readFileSync(new URL('../../../docs/device-metrics.md', import.meta.url), 'utf8');
  const explained = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(explained, namesIn(metricsText(status, [])));
});

test('what has no value yet is left out', () => {
  const empty: AgentStatus = { ...status, attestation: null, certificateNotAfter: null, models: [] };
  const names = namesIn(metricsText(empty, undefined));
  assert.ok(!names.includes('edgekeep_model_state') && !names.includes('edgekeep_guard_walls_missing'));
  assert.ok(names.includes('edgekeep_agent_state'));
});
