// What the logs of real boots say (spec/vectors/attest/event-log/valid/real-*.json): their PCRs are compared where all vectors are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { uncoveredBoot } from './boot-coverage.ts';
import { describeEventData } from './event-data/describe.ts';
import { parseEventLog } from './event-log.ts';
import { eventTypeName } from './event-type.ts';
import { referenceValuesFromBoots } from './golden-boots.ts';
import { secureBootOf } from './secure-boot.ts';
import { replayEventLog } from './replay.ts';
import { vectorsOf } from './testing-vectors.ts';

const vectors = vectorsOf('event-log', 'valid', z.object({ comment: z.string(), log: z.string() }));

function bootOf(file: string) {
  const { log: hex } = vectors.find((vector) => vector.file === file) ?? assert.fail(`no vector ${file}`);
  const log = parseEventLog(Buffer.from(hex, 'hex'));
  const golden = referenceValuesFromBoots([log], { name: 'real', version: '1' });
  const shown = log.events.map(({ pcr, eventType, event }) => {
    return `${pcr} ${eventTypeName(eventType).replace(/^EV_(EFI_)?/, '')} ${describeEventData(eventType, event)}`;
  });
  return { log, golden, shown };
}

test('shim, GRUB and kernel of a real boot are shown by name, and db the variable is not db the authority', () => {
  const { log, golden, shown } = bootOf('real-grub-secure-boot.json');
  const state = secureBootOf(replayEventLog(log, 'sha256'));
  assert.deepEqual([state?.on, state?.mok, state?.dbxDate], [true, true, undefined]);
  // Microsoft's, which let shim run, and Debian's, which let GRUB and the kernel run.
  assert.equal(state?.authorities?.length, 2);
  assert.deepEqual(uncoveredBoot(golden.values), []);
  const loaded = shown.filter((line) => line.startsWith('4 BOOT_SERVICES_APPLICATION'));
  assert.match(loaded[0] ?? '', /\/EFI\/BOOT\/BOOTX64\.EFI on partition 1, \d+ bytes/);
  assert.match(loaded[1] ?? '', /\/EFI\/BOOT\/grubx64\.efi, \d+ bytes/);
  assert.match(loaded[2] ?? '', /passed in memory by the loader/);
  const expected = [
    '7 VARIABLE_DRIVER_CONFIG SecureBoot: on',
    '7 VARIABLE_AUTHORITY authority db: Microsoft Corporation UEFI CA 2011',
    '7 VARIABLE_AUTHORITY authority MokListRT: Debian Secure Boot CA',
    '14 IPL MokList of shim: keys that the owner of the machine trusts',
  ];
  for (const line of expected) assert.ok(shown.includes(line), `${line} is not in\n${shown.join('\n')}`);
  assert.ok(shown.some((line) => line.startsWith('7 VARIABLE_DRIVER_CONFIG db: 2 certificates (')));
});

test('a real unified kernel image is covered by PCR 11, and its sections are shown', () => {
  const { log, golden, shown } = bootOf('real-unified-image.json');
  const state = secureBootOf(replayEventLog(log, 'sha256'));
  assert.deepEqual([state?.on, state?.mok, state?.dbxDate, state?.authorities?.length], [true, false, undefined, 1]);
  assert.deepEqual(uncoveredBoot(golden.values), []);
  assert.deepEqual([...new Set(golden.values.events.map(({ pcr }) => pcr))], [0, 2, 4, 7, 11]);
  assert.ok(shown.includes('11 IPL section .linux of the unified image'));
  assert.ok(shown.some((line) => line.startsWith('9 EVENT_TAG initrd that the kernel loaded')));
});
