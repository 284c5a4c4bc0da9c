// What is believed of a log about Secure Boot: only what digests in PCR 7 cover, by their place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../bytes.ts';
import { sha256Hex } from '../digest.ts';
import { parseEventLog } from './event-log.ts';
import { replayEventLog } from './replay.ts';
import { secureBootOf } from './secure-boot.ts';
import { cryptoAgileLog, testEvent, type TestEvent, uefiVariable } from './testing.ts';

const imageSecurity = 'cbb219d73a3d9645a3bcdad00e67656f';
const shimLock = '50ab5d6046e00043abb63dd810dd8b23';
const of = (...events: readonly TestEvent[]) =>
  secureBootOf(replayEventLog(parseEventLog(cryptoAgileLog(events)), 'sha256'));
const variable = (value: number, pcr = 7) =>
  testEvent(pcr, 0x80000001, uefiVariable('SecureBoot', Uint8Array.of(value)));
const policy = (dbx: Uint8Array) => [
  variable(1),
  testEvent(7, 0x80000001, uefiVariable('PK', new Uint8Array(4))),
  testEvent(7, 0x80000001, uefiVariable('KEK', new Uint8Array(4))),
  testEvent(7, 0x80000001, uefiVariable('db', new Uint8Array(4), imageSecurity)),
  testEvent(7, 0x80000001, uefiVariable('dbx', dbx, imageSecurity)),
];
const separator = testEvent(7, 4, new Uint8Array(4));
const certificate = utf8('a certificate of somebody');
const authority = (name: string, vendor: string, of: Uint8Array = certificate) =>
  testEvent(7, 0x800000e0, uefiVariable(name, concat(new Uint8Array(16), of), vendor));

/** An EFI signature list of SHA-256 hashes. */
function hashes(...texts: readonly string[]): Uint8Array {
  const sizes = new DataView(new ArrayBuffer(12));
  sizes.setUint32(0, 28 + 48 * texts.length, true);
  sizes.setUint32(8, 48, true);
  const entries = texts.map((text) => concat(new Uint8Array(16), Buffer.from(text, 'hex')));
  return concat(Buffer.from('2616c4c14c509240aca941f936934328', 'hex'), new Uint8Array(sizes.buffer), ...entries);
}
const of2020 = 'c805603c4fa038776e42f263c604b49d96840322e1922d5606a9b0bbb5bffe6f';
const of2023 = '7836465bdffae768efaedcbaa8b5787baf51b2792a020e80e341a3f824ff82ca';

test('Secure Boot is read from the variable that the digest covers', () => {
  assert.equal(of(variable(1))?.on, true);
  assert.equal(of(variable(0))?.on, false);
  assert.equal(of(testEvent(7, 0x80000005, 'DMA Protection Disabled'), variable(1))?.on, true);
});

test('data that the digest does not cover, in another PCR or of another form says nothing', () => {
  assert.equal(of({ ...variable(1), measured: variable(0).event }), undefined);
  assert.equal(of(variable(1, 6)), undefined);
  assert.equal(of(testEvent(7, 0x80000001, utf8('SecureBoot=1'))), undefined);
  const longer = testEvent(7, 0x80000001, concat(variable(1).event, Uint8Array.of(0)));
  assert.equal(of(longer), undefined);
});

// SECURITY.md: DEV-68
test('a system that extends PCR 7 as if Secure Boot were on does not hide that it was off', () => {
  const off = variable(0);
  assert.equal(of(off, separator, variable(1))?.on, false);
  // The log names the first event otherwise, or has other data beside its digest.
  assert.equal(of({ ...off, event: utf8('vendor data'), measured: off.event }, separator, variable(1)), undefined);
  assert.equal(of(testEvent(7, 0x80000005, 'UEFI Debug Mode'), variable(1)), undefined);
});

// SECURITY.md: DEV-68
test('Secure Boot is not on where shim verifies nothing, also when the log has other data beside the digest', () => {
  const told = testEvent(7, 0x800000e0, uefiVariable('MokSBState', Uint8Array.of(1), shimLock));
  assert.equal(of(variable(1), separator, told)?.on, false);
  assert.equal(of(variable(1), separator, { ...told, event: utf8('other'), measured: told.event })?.on, false);
  const verifies = testEvent(7, 0x800000e0, uefiVariable('MokSBState', Uint8Array.of(0), shimLock));
  assert.equal(of(variable(1), separator, verifies)?.on, true);
});

test('the date of dbx is that of the newest known update of which it has an entry', () => {
  const dateOf = (...texts: readonly string[]) => of(...policy(hashes(...texts)))?.dbxDate;
  assert.equal(dateOf(), undefined);
  assert.equal(dateOf('11'.repeat(32)), undefined);
  assert.equal(dateOf(of2020, '11'.repeat(32)), Date.parse('2020-07-01'));
  assert.equal(dateOf(of2023, of2020), Date.parse('2023-05-01'));
});

test('a list in another place, or that no digest covers, has no date', () => {
  const [first, ...rest] = policy(new Uint8Array(0));
  assert.ok(first !== undefined);
  const later = testEvent(7, 0x80000001, uefiVariable('dbx', hashes(of2023), imageSecurity));
  assert.equal(of(first, ...rest, separator, later)?.dbxDate, undefined);
  const covered = policy(hashes());
  const claimed = { ...later, measured: covered.at(-1)?.event ?? later.event };
  assert.equal(of(...covered.slice(0, -1), claimed)?.dbxDate, undefined);
});

test('keys that let images run are named by what was measured of them; one that is hidden hides all', () => {
  const byFirmware = authority('db', imageSecurity);
  const byShim = authority('MokListRT', shimLock, utf8('another certificate'));
  const both = [sha256Hex(certificate), sha256Hex(utf8('another certificate'))].toSorted();
  const state = of(variable(1), separator, byFirmware, byShim, byFirmware);
  assert.deepEqual([state?.mok, state?.authorities], [true, both]);
  const alone = of(variable(1), separator, byFirmware);
  assert.deepEqual([alone?.mok, alone?.authorities], [false, [sha256Hex(certificate)]]);
  const hidden = of(variable(1), separator, byFirmware, { ...byShim, event: utf8('x'), measured: byShim.event });
  assert.deepEqual([hidden?.on, hidden?.mok, hidden?.authorities], [true, undefined, undefined]);
  const unbegun = of(variable(1));
  assert.deepEqual([unbegun?.mok, unbegun?.authorities], [undefined, undefined]);
});
