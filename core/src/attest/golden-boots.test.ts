import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchBoot } from './boot-match.ts';
import { parseEventLog } from './event-log.ts';
import { referenceValuesFromBoots } from './golden-boots.ts';
import { replayEventLog } from './replay.ts';
import { cryptoAgileLog, startupLocality, testEvent, type TestEvent, uefiBoot } from './testing.ts';

const order = { name: 'line', version: '1.0.0' };
const logOf = (events: readonly TestEvent[]) => parseEventLog(cryptoAgileLog(events));
const setOf = (...boots: readonly (readonly TestEvent[])[]) => referenceValuesFromBoots(boots.map(logOf), order);
const pcrsOf = ({ events }: { readonly events: readonly { readonly pcr: number }[] }) => [
  ...new Set(events.map(({ pcr }) => pcr)),
];
const quoted = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14];
const matches = (set: ReturnType<typeof setOf>, boot: readonly TestEvent[]) =>
  matchBoot(replayEventLog(logOf(boot), 'sha256'), [set.values], quoted)?.reasons.length === 0;

test('what differs between devices of one kind is left out, by name', () => {
  const { values, leftOut, notes } = setOf([...uefiBoot, testEvent(15, 0xd, 'machine-id')]);
  assert.deepEqual(pcrsOf(values), [0, 2, 4, 7, 8, 9, 14]);
  assert.deepEqual(
    leftOut.map(({ pcr }) => pcr),
    [1, 3, 5, 6, 15],
  );
  assert.match(leftOut.find(({ pcr }) => pcr === 5)?.why ?? '', /GUID/);
  assert.deepEqual(notes, []);
});

test('a unified kernel image is known by PCR 11, at each of the phases that systemd measures there', () => {
  const image = [testEvent(11, 0xd, '.linux'), testEvent(9, 6, 'initrd')];
  const booted = [...uefiBoot.filter(({ pcr }) => pcr < 8), ...image];
  const set = setOf(booted);
  assert.deepEqual(pcrsOf(set.values), [0, 2, 4, 7, 11]);
  const phase = (name: string) => testEvent(11, 0xd, name);
  assert.ok(matches(set, booted));
  assert.ok(matches(set, [...booted, phase('enter-initrd'), phase('leave-initrd')]));
  assert.ok(matches(set, [...booted, phase('sysinit'), phase('ready')]));
  assert.ok(!matches(set, [...booted, phase('ready'), phase('enter-initrd')]));
  assert.ok(!matches(set, [...booted, phase('something else')]));
});

test('several boots make one set that matches each of them, and says what differs', () => {
  const other = uefiBoot.map((event, index) => (index === 1 ? { ...event, measured: Uint8Array.of(1) } : event));
  const set = setOf(uefiBoot, other);
  assert.ok(matches(set, uefiBoot) && matches(set, other));
  assert.match(set.notes.join('\n'), /^PCR 0 "firmware at .*" differs between the boots: 2 digests$/);
  const third = uefiBoot.map((event, index) => (index === 1 ? { ...event, measured: Uint8Array.of(2) } : event));
  assert.ok(!matches(set, third));
});

test('an event that only some boots have is optional', () => {
  const at = uefiBoot.findIndex(({ pcr }) => pcr === 8);
  const longer = [...uefiBoot.slice(0, at), testEvent(8, 0xd, 'grub_cmd: insmod part_gpt\0'), ...uefiBoot.slice(at)];
  for (const set of [setOf(uefiBoot, longer), setOf(longer, uefiBoot)]) {
    assert.ok(matches(set, uefiBoot) && matches(set, longer));
    assert.match(set.notes.join('\n'), /PCR 8 "grub_cmd: insmod part_gpt" is in some of the boots only/);
  }
});

test('machines whose PCR 0 starts differently make no set together', () => {
  const { values } = setOf([startupLocality(3), ...uefiBoot]);
  assert.equal(values.startupLocality, 3);
  assert.throws(() => setOf(uefiBoot, [startupLocality(3), ...uefiBoot]), { code: 'reference-values-invalid' });
});

test('a command line with the UUID of a file system is noted', () => {
  const command = 'grub_cmd: linux /vmlinuz root=UUID=5b7c1a54-0000-4000-8000-000000000101 ro\0';
  assert.match(setOf([...uefiBoot, testEvent(8, 0xd, command)]).notes.join(), /names file systems by UUID/);
});
