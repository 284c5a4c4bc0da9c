// The devices of a batch, from CSV (spec/manufacture.md, "Batch"): everything is read and compared before the first device is touched.
import { isAbsolute, resolve } from 'node:path';
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { CoreError } from '@edgekeep/core/error';
import { deviceIdOfSerial, isDeviceId } from '@edgekeep/core/identity/device-id';
import { deviceSerialPattern } from '@edgekeep/core/identity/idevid';
import { parseTpmAddress } from '@edgekeep/hardware/tpm/transport';
import { groupNameSchema, tagKeySchema, tagsSchema } from '@edgekeep/wire/api/registry';
import { type CsvRecord, parseCsv } from './csv.ts';
import type { HardwarePlace } from './hardware.ts';
import { serialTag } from './manifest.ts';
import { hardwareTypeSchema } from './manufacturer.ts';
import type { DeviceOrder } from './make.ts';

/** A larger line needs several batches: a manifest of this length still imports in one call. */
const DEVICES_MAX = 100_000;
const tagPrefix = 'tag.';
const columnNames = new Set([
  'serial',
  'id',
  'hardwareType',
  'product',
  'tpm',
  'endorsementKey',
  'module',
  'token',
  'slot',
  'pinFile',
  'idevidFile',
  'groups',
]);

export interface LineOrder extends DeviceOrder {
  /** Of the CSV, from 1. */
  readonly line: number;
}

/** Relative paths start at `folder`. Throws `encoding-invalid` with the invalid line. */
export function readLineOrders(text: string, folder: string): readonly LineOrder[] {
  const { columns, records } = parseCsv(text);
  for (const name of columns) {
    const tag = name.startsWith(tagPrefix) ? name.slice(tagPrefix.length) : undefined;
    const known = tag === undefined ? columnNames.has(name) : tagKeySchema.safeParse(tag).success && tag !== serialTag;
    if (!known) throw new CoreError('encoding-invalid', `no such column: ${JSON.stringify(name)}`);
  }
  if (records.length > DEVICES_MAX)
    throw new CoreError('encoding-invalid', `${records.length} devices, at most ${DEVICES_MAX} in one batch`);
  const orders = records.map((record) => orderOf(record, folder));
  assertOnce(orders, 'serial number', ({ serialNumber }) => serialNumber.toLowerCase());
  assertOnce(orders, 'id', ({ id }) => id);
  return orders;
}

function orderOf({ line, fields }: CsvRecord, folder: string): LineOrder {
  const serialNumber = fields.get('serial') ?? '';
  if (!deviceSerialPattern.test(serialNumber))
    throw broken(line, 'serial: expected 1 to 64 letters, digits, dots and hyphens');
  const id = fields.get('id') ?? deviceIdOfSerial(serialNumber) ?? '';
  if (!isDeviceId(id)) throw broken(line, 'id: expected lower-case letters, digits and hyphens, at most 63');
  const hardwareType = fields.get('hardwareType');
  if (hardwareType !== undefined && !hardwareTypeSchema.safeParse(hardwareType).success)
    throw broken(line, 'hardwareType: expected an object identifier like 1.3.6.1.4.1.99999.1');
  const tags = Object.fromEntries(
    [...fields].flatMap(([name, value]) =>
      name.startsWith(tagPrefix) ? [[name.slice(tagPrefix.length), value] as const] : [],
    ),
  );
  if (!tagsSchema.safeParse({ ...tags, [serialTag]: serialNumber }).success)
    throw broken(line, 'a tag has at most 200 characters, a device 64 tags with that of its serial number');
  const groups = (fields.get('groups') ?? '').split(' ').filter((name) => name !== '');
  if (!groups.every((name) => groupNameSchema.safeParse(name).success)) throw broken(line, 'groups: not group names');
  const file = fields.get('idevidFile');
  return {
    line,
    serialNumber,
    id,
    hardwareType,
    product: fields.get('product'),
    place: placeOf({ line, fields }, folder),
    idevidFile: file === undefined ? undefined : resolve(folder, file),
    tags,
    groups,
  };
}

function placeOf({ line, fields }: CsvRecord, folder: string): HardwarePlace {
  const [tpm, module] = [fields.get('tpm'), fields.get('module')];
  if ((tpm === undefined) === (module === undefined)) throw broken(line, 'expected either tpm or module');
  if (tpm !== undefined) {
    const address = parseTpmAddress(tpm);
    if (address === undefined) throw broken(line, 'tpm: expected device:PATH, unix:PATH or tcp:HOST:PORT');
    const wanted = fields.get('endorsementKey') ?? 'rsa-2048';
    const endorsementKey = endorsementKeyKinds.find((kind) => kind === wanted);
    if (endorsementKey === undefined) throw broken(line, `endorsementKey: one of ${endorsementKeyKinds.join(', ')}`);
    return { kind: 'tpm', address, endorsementKey };
  }
  const pinFile = fields.get('pinFile');
  if (module === undefined || !isAbsolute(module)) throw broken(line, 'module: expected an absolute path');
  if (pinFile === undefined) throw broken(line, 'pinFile: a token needs one');
  const slot = fields.get('slot');
  if (slot !== undefined && !/^\d{1,9}$/.test(slot)) throw broken(line, 'slot: expected a number');
  const token = { label: fields.get('token'), slot: slot === undefined ? undefined : Number(slot) };
  return { kind: 'pkcs11', place: { module, token, pinFile: resolve(folder, pinFile) } };
}

function assertOnce(orders: readonly LineOrder[], what: string, keyOf: (order: LineOrder) => string): void {
  const seen = new Map<string, number>();
  for (const order of orders) {
    const before = seen.get(keyOf(order));
    if (before !== undefined) throw broken(order.line, `the ${what} ${keyOf(order)} is on line ${before} too`);
    seen.set(keyOf(order), order.line);
  }
}

function broken(line: number, problem: string): CoreError {
  return new CoreError('encoding-invalid', `line ${line}: ${problem}`);
}
