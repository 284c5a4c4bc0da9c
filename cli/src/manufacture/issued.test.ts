// One serial number, one IDevID, after any interruption or repetition.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { validateIdevid } from '@edgekeep/core/identity/idevid';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner, parseIdevid } from '@edgekeep/core/identity/testing-manufacturer';
import { readTrustRoots } from '../model/key-files.ts';
import { type Issued, issueOnce } from './issued.ts';
import { createManufacturer, type Manufacturer, openManufacturer, ownHardwareType } from './manufacturer.ts';

const nowSeconds = 1_795_000_000;
let folder: string;
let manufacturer: Manufacturer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-issued-'));
  const ca = join(folder, 'ca');
  const order = { folder: ca, rootFolder: join(folder, 'root'), organization: 'Example Works', nowSeconds };
  await createManufacturer({ ...order, hardwareType: ownHardwareType() });
  manufacturer = await openManufacturer(ca);
});
after(() => rm(folder, { recursive: true, force: true }));

const newSpki = () => encodeSpki(newSigner().publicKey);
const issue = (serialNumber: string, spki = newSpki()) =>
  issueOnce(manufacturer, { serialNumber, spki, nowSeconds, hardwareType: manufacturer.hardwareType });
const hexOf = (issued: Issued) =>
  issued.kind === 'issued' ? Buffer.from(issued.chain[0]).toString('hex') : issued.code;

test('an IDevID is valid under the root, and of the hardware type that was made for the manufacturer', async () => {
  const issued = await issue('A-1');
  assert.ok(issued.kind === 'issued');
  const [leaf, issuing] = issued.chain.map(parseCertificate);
  assert.ok(leaf !== undefined && issuing !== undefined);
  const anchors = await readTrustRoots(join(manufacturer.folder, 'root.pem'));
  const verdict = validateIdevid({ leaf, intermediates: [issuing], anchors, atSeconds: nowSeconds + 1 });
  assert.equal(verdict.kind, 'valid');
  assert.match(parseIdevid(leaf.der).hardwareType, /^2\.25\.\d{1,39}$/);
});

test('the same serial number and key get the same certificate again', async () => {
  const spki = newSpki();
  const first = await issue('A-2', spki);
  const second = await issue('a-2', spki);
  assert.ok(first.kind === 'issued' && second.kind === 'issued');
  assert.deepEqual([first.fresh, second.fresh], [true, false]);
  assert.equal(hexOf(first), hexOf(second));
});

test('another key under a serial number, and another serial number for a key, are refused', async () => {
  const spki = newSpki();
  await issue('A-3', spki);
  assert.equal(hexOf(await issue('A-3')), 'serial-taken');
  assert.equal(hexOf(await issue('a-3')), 'serial-taken');
  assert.equal(hexOf(await issue('A-4', spki)), 'key-taken');
  // The refusal leaves the serial number free.
  assert.equal((await issue('A-4')).kind, 'issued');
});

test('two requests at one moment end with one certificate', async () => {
  const spki = newSpki();
  const same = await Promise.all(Array.from({ length: 8 }, () => issue('A-5', spki)));
  assert.equal(new Set(same.map(hexOf)).size, 1);
  assert.equal(same.filter((issued) => issued.kind === 'issued' && issued.fresh).length, 1);

  const others = await Promise.all(Array.from({ length: 8 }, () => issue('A-6')));
  assert.equal(others.filter(({ kind }) => kind === 'issued').length, 1);
  // The loser may use another serial number.
  const loser = newSpki();
  const [, lost] = await Promise.all([issue('A-7'), issue('A-7', loser)]);
  if (lost?.kind === 'refused') assert.equal((await issue('A-8', loser)).kind, 'issued');
});

test('a crash behind the claim of a key, or while a file was written, is gone over by the next run', async () => {
  const spki = newSpki();
  const claim = createHash('sha256').update(spki).digest('hex');
  await writeFile(join(manufacturer.folder, 'keys', claim), 'a-9\n');
  await writeFile(join(manufacturer.folder, 'issued', 'a-9.pem.0011223344556677.new'), '-----BEGIN CERT');
  assert.equal((await issue('A-9', spki)).kind, 'issued');
  assert.equal(hexOf(await issue('A-10', spki)), 'key-taken');
});

test('a record that is no certificate stops that serial number and issues nothing', async () => {
  const record = join(manufacturer.folder, 'issued', 'a-11.pem');
  await writeFile(record, encodePem('CERTIFICATE', new Uint8Array([1, 2, 3])));
  await assert.rejects(issue('A-11'), { code: 'certificate-invalid' });
  assert.match(await readFile(record, 'utf8'), /AQID/);
});

test('an issuing key that is not the one of the certificate opens nothing', async () => {
  const ca = join(folder, 'other');
  const order = { folder: ca, rootFolder: join(ca, 'root'), organization: 'Other Works', nowSeconds };
  await createManufacturer({ ...order, hardwareType: '1.3.6.1.4.1.32473.1' });
  await assert.rejects(createManufacturer({ ...order, hardwareType: '1.3.6.1.4.1.32473.1' }), { code: 'EEXIST' });
  await writeFile(join(ca, 'issuing.pem'), await readFile(join(manufacturer.folder, 'issuing.pem')));
  await assert.rejects(openManufacturer(ca), { code: 'key-invalid' });
  assert.deepEqual(await readdir(join(ca, 'issued')), []);
});
