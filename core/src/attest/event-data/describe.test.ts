import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../bytes.ts';
import { uefiVariable } from '../testing.ts';
import { describeEventData } from './describe.ts';

const wide = (text: string) => Buffer.from(`${text}\0`, 'utf16le');
const u16 = (value: number) => Uint8Array.of(value & 0xff, value >>> 8);
const u32 = (value: number) => concat(u16(value & 0xffff), u16(value >>> 16));
const u64 = (value: number) => concat(u32(value), u32(0));
const node = (type: number, subtype: number, data: Uint8Array) =>
  concat(Uint8Array.of(type, subtype), u16(data.length + 4), data);
const endNode = node(0x7f, 0xff, new Uint8Array(0));
const image = (size: number, path: Uint8Array) => concat(u64(0x1000), u64(size), u64(0), u64(path.length), path);

const efiApplication = 0x80000003;
const driverConfig = 0x80000001;
const authority = 0x800000e0;

test('an image that was loaded is shown with its file, its partition and its size', () => {
  const disk = node(4, 1, concat(u32(1), u64(2048), u64(4096), new Uint8Array(16).fill(9), Uint8Array.of(2, 2)));
  const path = concat(disk, node(4, 4, wide('\\EFI\\debian\\grubx64.efi')), endNode);
  assert.equal(
    describeEventData(efiApplication, image(512, path)),
    '/EFI/debian/grubx64.efi on partition 1, 512 bytes',
  );
  const firmware = concat(node(4, 6, Buffer.from('21aa2c4614760345836e8ab6f4662331', 'hex')), endNode);
  const shown = 'firmware file 462caa21-7614-4503-836e-8ab6f4662331, 8 bytes';
  assert.equal(describeEventData(efiApplication, image(8, firmware)), shown);
});

test('a kernel that GRUB passes in memory has no path, and is said to have none', () => {
  const shown = 'passed in memory by the loader (a kernel, as a rule), 8247232 bytes';
  assert.equal(describeEventData(efiApplication, image(8_247_232, new Uint8Array(0))), shown);
});

test('db the variable and db the authority are shown differently', () => {
  const hashes = concat(...[1, 2].map((octet) => concat(new Uint8Array(16), new Uint8Array(32).fill(octet))));
  const sha256 = Buffer.from('2616c4c14c509240aca941f936934328', 'hex');
  const list = concat(sha256, u32(28 + hashes.length), u32(0), u32(48), hashes);
  assert.equal(describeEventData(driverConfig, uefiVariable('dbx', list)), 'dbx: 2 hashes');
  assert.equal(describeEventData(driverConfig, uefiVariable('db', new Uint8Array(0))), 'db: empty');
  const entry = concat(new Uint8Array(16), new Uint8Array(32).fill(1));
  assert.equal(describeEventData(authority, uefiVariable('db', entry)), 'authority db: by hash');
  const sbat = utf8('sbat,1,2025021800\nshim,4\n');
  assert.equal(describeEventData(authority, uefiVariable('SbatLevel', sbat)), 'SbatLevel: sbat,1,2025021800 shim,4');
});

test('switches, boot order and boot entries are shown by value', () => {
  assert.equal(describeEventData(driverConfig, uefiVariable('SecureBoot', Uint8Array.of(0))), 'SecureBoot: off');
  const order = uefiVariable('BootOrder', Uint8Array.of(1, 0, 0x0a, 0));
  assert.equal(describeEventData(0x80000002, order), 'BootOrder: 0001, 000a');
  const path = concat(node(4, 4, wide('\\EFI\\debian\\shimx64.efi')), endNode);
  const entry = concat(u32(1), u16(path.length), wide('debian'), path);
  assert.equal(
    describeEventData(0x80000002, uefiVariable('Boot0001', entry)),
    'Boot0001: debian (/EFI/debian/shimx64.efi)',
  );
});

test('tagged events of the kernel, sections of a unified image and the lists of shim are named', () => {
  const tag = concat(u32(0x8f3b22ec), u32(13), utf8('Linux initrd\0'));
  assert.equal(describeEventData(6, tag), 'initrd that the kernel loaded (Linux initrd)');
  assert.equal(describeEventData(6, concat(u32(7), u32(2), utf8('ab'))), 'tag 0x00000007 (ab)');
  assert.equal(describeEventData(0xd, wide('.linux')), 'section .linux of the unified image');
  assert.match(describeEventData(0xd, utf8('MokListX\0')), /^MokListX of shim: /);
  assert.equal(describeEventData(0xd, utf8('grub_cmd: boot\0')), 'grub_cmd: boot');
});

test('a partition table is shown with its disk and its partitions', () => {
  const header = concat(new Uint8Array(56), new Uint8Array(16).fill(0x11), new Uint8Array(20));
  const partition = concat(new Uint8Array(56), Buffer.concat([wide('ESP'), Buffer.alloc(64)]));
  const shown = 'partitions of disk 11111111-1111-1111-1111-111111111111: ESP';
  assert.equal(describeEventData(0x80000006, concat(header, u64(1), partition)), shown);
});

test('data that does not have the form of its type is shown as text or hex', () => {
  assert.equal(describeEventData(efiApplication, utf8('loader 2.06')), 'loader 2.06');
  assert.equal(describeEventData(0x80000006, Uint8Array.of(1, 2)), '0x0102');
  assert.equal(describeEventData(0x8000000a, Uint8Array.of(200, 1)), '0xc801');
});
