// What an attacker on the bus between processor and TPM sees and can do: a relay in the middle of the socket.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import { emptyPolicy, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic, tpmName } from '@edgekeep/core/tpm/public-area';
import type { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators, tpm2 } from './testing.ts';
import { leaseKey } from './testing-lease.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';

const skip = await skipWithout(...simulatorTools);
const selection = { bank: 'sha256', pcrs: [0, 7] } as const;
let simulators: TestSimulators;
let simulator: TpmSimulator;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  simulator = await simulators.start('tpm');
});
after(() => simulators?.[Symbol.asyncDispose]());

/** Forwards everything, through `alter` on the way back; `seen` is every byte in both directions. */
async function relay(name: string, alter: (response: Buffer) => Buffer = (response) => response, of = simulator) {
  const seen: Buffer[] = [];
  const server = createServer((client) => {
    const tpm = connect({ path: of.socketPath });
    client.on('data', (chunk) => {
      seen.push(chunk);
      tpm.write(chunk);
    });
    tpm.on('data', (chunk) => {
      seen.push(chunk);
      client.write(alter(chunk));
    });
    client.on('close', () => tpm.destroy()).on('error', () => undefined);
    tpm.on('close', () => client.destroy()).on('error', () => undefined);
  });
  const path = join(simulators.folder, name);
  server.listen(path);
  await once(server, 'listening');
  return {
    address: { kind: 'unix', path } as const,
    saw: (bytes: Uint8Array) => Buffer.concat(seen).includes(Buffer.from(bytes)),
    [Symbol.dispose]: () => server.close(),
  };
}

async function wrap(device: TpmRootOfTrust, secret: Uint8Array) {
  const { endorsementKey } = await device.describe();
  const values = [...(await device.readPcrs(selection)).values()];
  const blob = makeImportBlob({
    parentPublic: parsePublic(endorsementKey.publicArea),
    secret,
    policyDigest: policyPcr(emptyPolicy(), [selection], pcrDigest(values)),
    randomBytes,
  });
  return {
    kind: 'tpm-import' as const,
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs: [...selection.pcrs],
  };
}

// SECURITY.md: DEV-29
test('neither an opened key nor an activated credential crosses the bus in the clear', { skip }, async () => {
  using bus = await relay('listening.sock');
  await using device = await TpmRootOfTrust.open(bus.address);
  const secret = randomBytes(32);
  assert.deepEqual(Buffer.from(await device.openKey(await wrap(device, secret))), secret);
  const { endorsementKey, attestationPublic } = await device.describe();
  const endorsementPublic = parsePublic(endorsementKey.publicArea);
  const request = { endorsementPublic, name: tpmName(parsePublic(attestationPublic)), secret, randomBytes };
  const { credentialBlob, encryptedSecret } = makeCredential(request);
  assert.deepEqual(Buffer.from(await device.activateCredential(credentialBlob, encryptedSecret)), secret);
  assert.ok(!bus.saw(secret));
  // The relay does see everything that is not encrypted.
  assert.ok(bus.saw(credentialBlob));
});

// SECURITY.md: DEV-28
test('who listens while a leased key is opened gets neither the key nor what opens it', { skip }, async () => {
  using bus = await relay('leased.sock');
  await using device = await TpmRootOfTrust.open(bus.address);
  const { wrapped, secret } = await leaseKey(device, 3_600_000n);
  assert.deepEqual(Buffer.from(await device.openKey(wrapped)), secret);
  assert.ok(!bus.saw(secret));
  assert.ok(!bus.saw(Buffer.from(wrapped.authValue, 'base64url')));
  // The listener has everything else: a TPM that would open it now, and the terms. Only the authorization value is missing.
  for (const part of ['publicArea', 'duplicate', 'encryptedSeed'] as const) {
    assert.ok(bus.saw(Buffer.from(wrapped[part], 'base64url')), part);
  }
  const { authValue: _, ...overheard } = wrapped;
  await assert.rejects(device.openKey(overheard), { name: 'HardwareError', code: 'tpm-policy-refused' });
});

// SECURITY.md: DEV-99
test(
  'who listens while hierarchies with passwords are used does not get the passwords',
  { skip: skip === false ? await skipWithout('tpm2_quote') : skip },
  async () => {
    const owned = await simulators.start('owned');
    const passwords = {
      endorsement: `e-${randomBytes(12).toString('hex')}`,
      owner: `o-${randomBytes(12).toString('hex')}`,
    };
    const files = { endorsement: join(simulators.folder, 'endorsement'), owner: join(simulators.folder, 'owner') };
    for (const hierarchy of ['endorsement', 'owner'] as const) {
      await tpm2(owned, simulators.folder, 'changeauth', '-c', hierarchy, passwords[hierarchy]);
      await writeFile(files[hierarchy], `${passwords[hierarchy]}\n`, { mode: 0o600 });
    }
    using bus = await relay('owned.sock', (response) => response, owned);
    const options = { endorsementPasswordFile: files.endorsement, ownerPasswordFile: files.owner };
    await using device = await TpmRootOfTrust.open(bus.address, options);
    const secret = randomBytes(32);
    assert.deepEqual(Buffer.from(await device.openKey(await wrap(device, secret))), secret);
    await device.certifyLeaseCounter(randomBytes(32));
    // The relay does see commands with authorizations.
    assert.ok(bus.saw(Uint8Array.of(0x80, 0x02)));
    for (const password of Object.values(passwords)) assert.ok(!bus.saw(Buffer.from(password)));
  },
);

// SECURITY.md: DEV-23
test('an answer altered on the bus is refused', { skip }, async () => {
  let altering = false;
  const lastOfParameter = 14 + 2 + 31;
  using bus = await relay('altering.sock', (response) => {
    // The answer to Unseal: 10 header, 4 parameter size, 2 + 32 parameter, then nonce, attributes and HMAC.
    if (!altering || response.length !== 14 + 34 + 34 + 1 + 34) return response;
    const altered = Buffer.from(response);
    altered[lastOfParameter] = (altered[lastOfParameter] ?? 0) ^ 1;
    return altered;
  });
  await using device = await TpmRootOfTrust.open(bus.address);
  const wrapped = await wrap(device, randomBytes(32));
  await device.openKey(wrapped);
  altering = true;
  await assert.rejects(device.openKey(wrapped), { code: 'tpm-response-invalid', message: /HMAC/ });
});
