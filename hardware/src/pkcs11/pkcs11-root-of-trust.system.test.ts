// The root of trust on real SoftHSM2 tokens.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify, inspect } from 'node:util';
import { type HpkeWrappedKey, wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { parseSoftwareStatement, signedStatement } from '@edgekeep/core/attest/evidence';
import { toBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import { returnValueOf } from './cryptoki-error.ts';
import { type Cryptoki, Pkcs11Module } from './module.ts';
import { Pkcs11RootOfTrust } from './pkcs11-root-of-trust.ts';
import { chooseToken, listTokens } from './slots.ts';
import { skipWithoutSoftHsm, softHsmModule, type TestTokens, testTokens } from './testing.ts';
import { defaultKeyLabels } from './token-keys.ts';

const run = promisify(execFile);
const skip = await skipWithoutSoftHsm();
const bank = 'sha256';
const labels = ['one', 'two', 'wrong-pin', 'removed', 'imported', 'half', 'twin', 'twin'];
let tokens: TestTokens;

before(async () => {
  if (skip === false) tokens = await testTokens(...labels);
});
after(async () => {
  if (skip === false) await tokens[Symbol.asyncDispose]();
});

function withCode(code: HardwareErrorCode) {
  return (error: unknown) => error instanceof HardwareError && error.code === code;
}

function open(label: string, stateFolder = label): Promise<Pkcs11RootOfTrust> {
  return Pkcs11RootOfTrust.open({
    ...tokens.place(label),
    stateFolder: join(tokens.folder, 'state', stateFolder),
    bootId: 'boot-1',
  });
}

/** What another program of this machine could do if it has the PIN as well. */
async function asAnybody<Result>(
  label: string,
  act: (cryptoki: Cryptoki, session: Buffer) => Promise<Result> | Result,
): Promise<Result> {
  await using module = await Pkcs11Module.open(softHsmModule);
  return module.run('testing', async (cryptoki) => {
    const { api, binding } = cryptoki;
    const token = chooseToken(listTokens(cryptoki), { label });
    const session = api.C_OpenSession(token.handle, binding.CKF_SERIAL_SESSION | binding.CKF_RW_SESSION);
    try {
      api.C_Login(session, binding.CKU_USER, tokens.pin(label));
    } catch (error) {
      assert.equal(returnValueOf(error), 'CKR_USER_ALREADY_LOGGED_IN');
    }
    try {
      return await act(cryptoki, session);
    } finally {
      api.C_CloseSession(session);
    }
  });
}

function keysOf({ api, binding }: Cryptoki, session: Buffer, kind: number): readonly Buffer[] {
  api.C_FindObjectsInit(session, [{ type: binding.CKA_CLASS, value: kind }]);
  const found = api.C_FindObjects(session, 10);
  api.C_FindObjectsFinal(session);
  return found;
}

async function wrapFor(device: Pkcs11RootOfTrust, secret: Uint8Array, leaseId: string): Promise<HpkeWrappedKey> {
  const { encryptionPublic } = await device.describe();
  const { encapsulatedKey, ciphertext } = hpkeSeal({
    recipientPublicKey: parseP256Point(encryptionPublic),
    info: utf8(wrappedKeyHpkeInfo),
    aad: utf8(leaseId),
    plaintext: secret,
  });
  return { kind: 'hpke', encapsulatedKey: toBase64url(encapsulatedKey), ciphertext: toBase64url(ciphertext) };
}

test(
  'a statement of the token verifies by node:crypto and by openssl, and carries the measured PCRs',
  { skip },
  async () => {
    await using device = await open('one');
    await device.extend(4, randomBytes(32));
    const qualifyingData = randomBytes(32);
    const signed = await device.attest(qualifyingData, { bank, pcrs: [0, 4] });
    assert.ok(signed.kind === 'software');
    const statement = parseSoftwareStatement(signed.statement);
    assert.equal(toHex(statement.qualifyingData), toHex(qualifyingData));
    const values = await device.readPcrs({ bank, pcrs: [0, 4] });
    assert.deepEqual([...statement.pcrs.keys()], [0, 4]);
    for (const [pcr, value] of statement.pcrs) assert.equal(toHex(value), toHex(values.get(pcr) ?? utf8('')));
    const { signingPublic } = await device.describe();
    const key = createPublicKey({ key: Buffer.from(signingPublic), format: 'der', type: 'spki' });
    assert.ok(verify('sha256', signedStatement(signed), key, signed.signature));

    const at = (name: string) => join(tokens.folder, name);
    await writeFile(at('key.pem'), key.export({ type: 'spki', format: 'pem' }));
    await writeFile(at('statement'), signedStatement(signed));
    await writeFile(at('signature'), signed.signature);
    const words = ['dgst', '-sha256', '-verify', at('key.pem'), '-signature', at('signature'), at('statement')];
    assert.match((await run('openssl', words)).stdout, /Verified OK/);
    await writeFile(at('statement'), Buffer.concat([signedStatement(signed), Buffer.from(' ')]));
    await assert.rejects(run('openssl', words));
  },
);

test('no private key leaves the token: neither read nor made readable nor wrapped', { skip }, async () => {
  await using device = await open('one');
  await asAnybody('one', ({ api, binding }, session) => {
    const privateKeys = keysOf({ api, binding }, session, binding.CKO_PRIVATE_KEY);
    assert.equal(privateKeys.length, 2);
    const wrapping = api.C_GenerateKey(session, { mechanism: binding.CKM_AES_KEY_GEN }, [
      { type: binding.CKA_VALUE_LEN, value: 32 },
      { type: binding.CKA_WRAP, value: true },
      { type: binding.CKA_TOKEN, value: false },
    ]);
    for (const key of privateKeys) {
      const read = () => api.C_GetAttributeValue(session, key, [{ type: binding.CKA_VALUE }]);
      assert.throws(read, /CKR_ATTRIBUTE_SENSITIVE/);
      for (const [type, value] of [
        [binding.CKA_EXTRACTABLE, true],
        [binding.CKA_SENSITIVE, false],
      ] as const) {
        assert.throws(() => api.C_SetAttributeValue(session, key, [{ type, value }]), /CKR_/);
      }
      const wrap = () =>
        api.C_WrapKey(session, { mechanism: binding.CKM_AES_KEY_WRAP_PAD }, wrapping, key, Buffer.alloc(512));
      assert.throws(wrap, /CKR_KEY_UNEXTRACTABLE/);
    }
  });
  assert.equal((await device.random(16)).length, 16);
});

test('each key has one use: the signing key does not agree, the agreement key does not sign', { skip }, async () => {
  await using device = await open('one');
  const { encryptionPublic } = await device.describe();
  await asAnybody('one', ({ api, binding }, session) => {
    for (const key of keysOf({ api, binding }, session, binding.CKO_PRIVATE_KEY)) {
      const label = api.C_GetAttributeValue(session, key, [{ type: binding.CKA_LABEL }])[0]?.value.toString();
      const parameter = {
        type: binding.CK_PARAMS_EC_DH,
        kdf: binding.CKD_NULL,
        publicData: Buffer.from(encryptionPublic),
      };
      if (label === defaultKeyLabels.agreement) {
        assert.throws(() => api.C_SignInit(session, { mechanism: binding.CKM_ECDSA }, key), /CKR_/);
      } else {
        assert.throws(
          () => api.C_DeriveKey(session, { mechanism: binding.CKM_ECDH1_DERIVE, parameter }, key, []),
          /CKR_/,
        );
      }
    }
  });
});

test('a wrapped model key opens inside its token, for its lease, and nowhere else', { skip }, async () => {
  // Two tokens of one module in one process.
  await using device = await open('one');
  await using other = await open('two');
  const secret = randomBytes(32);
  const wrapped = await wrapFor(device, secret, 'lease-1');
  assert.equal(toHex(await device.openKey(wrapped, { leaseId: 'lease-1' })), toHex(secret));
  await assert.rejects(device.openKey(wrapped, { leaseId: 'lease-2' }), withCode('wrapped-key-refused'));
  await assert.rejects(other.openKey(wrapped, { leaseId: 'lease-1' }), withCode('wrapped-key-refused'));
  await assert.rejects(device.openKey(wrapped), withCode('wrapped-key-unsupported'));
  const signed = await Promise.all([device, other].map((each) => each.attest(randomBytes(32), { bank, pcrs: [0] })));
  assert.notEqual(toHex(signed[0]?.signature ?? utf8('')), toHex(signed[1]?.signature ?? utf8('')));
});

test('the keys outlive the process and the boot; the PCRs start over with the boot', { skip }, async () => {
  const place = { ...tokens.place('one'), stateFolder: join(tokens.folder, 'state', 'one') };
  const first = await open('one');
  const identity = await first.describe();
  await first.extend(7, randomBytes(32));
  await first[Symbol.asyncDispose]();
  await using next = await Pkcs11RootOfTrust.open({ ...place, bootId: 'boot-2' });
  assert.deepEqual(await next.describe(), identity);
  assert.equal(toHex((await next.readPcrs({ bank, pcrs: [7] })).get(7) ?? utf8('')), '00'.repeat(32));
  assert.equal(identity.token.label, 'one');
});

test('random bytes come in any length and are not the same twice', { skip }, async () => {
  await using device = await open('one');
  for (const length of [1, 31, 32, 33, 200]) {
    const bytes = await device.random(length);
    assert.equal(bytes.length, length);
    if (length > 16) assert.notEqual(toHex(bytes), toHex(await device.random(length)));
    if (length > 16)
      assert.ok(
        bytes.subarray(-16).some((byte) => byte !== 0),
        'the last piece is filled as well',
      );
  }
});

test('a wrong PIN is refused by name and is in no error', { skip }, async () => {
  const wrong = 'this-is-not-the-pin';
  const { pinFile } = tokens.place('wrong-pin');
  const right = await readFile(pinFile);
  await writeFile(pinFile, wrong);
  const error: unknown = await open('wrong-pin').catch((reason: unknown) => reason);
  assert.ok(withCode('pkcs11-pin-refused')(error));
  assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes(wrong));
  await writeFile(pinFile, right);
  await (await open('wrong-pin'))[Symbol.asyncDispose]();
});

test('a PIN file that is missing, empty, of two lines or open to others is refused', { skip }, async () => {
  const { pinFile } = tokens.place('wrong-pin');
  const right = await readFile(pinFile);
  for (const text of ['', '\n', 'a\nb\n', 'x'.repeat(300)]) {
    await writeFile(pinFile, text);
    await assert.rejects(open('wrong-pin'), withCode('pkcs11-pin-unreadable'), JSON.stringify(text));
  }
  await writeFile(pinFile, right);
  for (const mode of [0o604, 0o660, 0o602]) {
    await chmod(pinFile, mode);
    await assert.rejects(open('wrong-pin'), withCode('pkcs11-pin-unreadable'), mode.toString(8));
  }
  await chmod(pinFile, 0o440);
  await (await open('wrong-pin'))[Symbol.asyncDispose]();
  await rm(pinFile);
  await assert.rejects(open('wrong-pin'), withCode('pkcs11-pin-unreadable'));
});

test('another token in the place of the first one is refused, and gets no keys', { skip }, async () => {
  await (await open('one'))[Symbol.asyncDispose]();
  await assert.rejects(open('removed', 'one'), withCode('pkcs11-token-changed'));
  const count = await asAnybody(
    'removed',
    (cryptoki, session) => keysOf(cryptoki, session, cryptoki.binding.CKO_PRIVATE_KEY).length,
  );
  assert.equal(count, 0);
  await (await open('two'))[Symbol.asyncDispose]();
  await assert.rejects(open('two', 'one'), withCode('pkcs11-token-changed'));
});

test('a token that is not there, and a label that two tokens have, are refused by name', { skip }, async () => {
  await assert.rejects(open('nobody'), withCode('pkcs11-token-missing'));
  await assert.rejects(open('twin'), withCode('pkcs11-token-missing'));
});

test(
  'a token that was pulled out and put in again is opened anew; without it nothing is signed',
  { skip },
  async () => {
    await using device = await open('removed');
    await using module = await Pkcs11Module.open(softHsmModule);
    const pull = () =>
      module.run('pulling', (cryptoki) =>
        cryptoki.api.C_CloseAllSessions(chooseToken(listTokens(cryptoki), { label: 'removed' }).handle),
      );
    await pull();
    assert.equal((await device.attest(randomBytes(32), { bank, pcrs: [0] })).kind, 'software');
    await pull();
    // Unreachable while the session is gone: the PIN is needed to return.
    const { pinFile } = tokens.place('removed');
    await rename(pinFile, `${pinFile}.away`);
    await assert.rejects(device.attest(randomBytes(32), { bank, pcrs: [0] }), withCode('pkcs11-pin-unreadable'));
    await rename(`${pinFile}.away`, pinFile);
    assert.equal((await device.attest(randomBytes(32), { bank, pcrs: [0] })).kind, 'software');
  },
);

test('a key that was imported is not taken, though it is not extractable now', { skip }, async () => {
  await asAnybody('imported', ({ api, binding }, session) => {
    const scalar = Buffer.alloc(32, 7);
    const parameters = Buffer.from('06082a8648ce3d030107', 'hex');
    const common = [
      { type: binding.CKA_KEY_TYPE, value: binding.CKK_EC },
      { type: binding.CKA_TOKEN, value: true },
      { type: binding.CKA_LABEL, value: defaultKeyLabels.signing },
      { type: binding.CKA_EC_PARAMS, value: parameters },
    ];
    api.C_CreateObject(session, [
      { type: binding.CKA_CLASS, value: binding.CKO_PRIVATE_KEY },
      ...common,
      { type: binding.CKA_VALUE, value: scalar },
      { type: binding.CKA_SENSITIVE, value: true },
      { type: binding.CKA_EXTRACTABLE, value: false },
      { type: binding.CKA_SIGN, value: true },
    ]);
    api.C_CreateObject(session, [
      { type: binding.CKA_CLASS, value: binding.CKO_PUBLIC_KEY },
      ...common,
      { type: binding.CKA_EC_POINT, value: Buffer.concat([Buffer.from([4, 65, 4]), Buffer.alloc(64, 1)]) },
    ]);
  });
  await assert.rejects(open('imported'), (error: unknown) => {
    return withCode('pkcs11-key-unexpected')(error) && error instanceof Error && /imported/.test(error.message);
  });
});

test('a private key without its public half is refused, not replaced', { skip }, async () => {
  await (await open('half'))[Symbol.asyncDispose]();
  await asAnybody('half', (cryptoki, session) => {
    for (const key of keysOf(cryptoki, session, cryptoki.binding.CKO_PUBLIC_KEY))
      cryptoki.api.C_DestroyObject(session, key);
  });
  await assert.rejects(open('half', 'half-again'), withCode('pkcs11-key-unexpected'));
});

test('a file that is not a module, or does not exist, is refused by name', { skip }, async () => {
  const stateFolder = join(tokens.folder, 'state', 'none');
  for (const module of ['/nonexistent/pkcs11.so', join(tokens.folder, 'softhsm2.conf')]) {
    const options = { ...tokens.place('one'), module, stateFolder, bootId: 'boot-1' };
    await assert.rejects(Pkcs11RootOfTrust.open(options), withCode('pkcs11-module-failed'), module);
  }
});

test('damaged files of the state folder are refused, not replaced', { skip }, async () => {
  const stateFolder = join(tokens.folder, 'state', 'damaged');
  await mkdir(stateFolder, { recursive: true });
  for (const text of ['', 'zz\nzz\n', `${'04'.repeat(65)}\n${'04'.repeat(65)}\n`]) {
    await writeFile(join(stateFolder, 'token-keys'), text);
    await assert.rejects(open('one', 'damaged'), withCode('software-state-invalid'), text);
  }
});

test(
  'the PIN is in no file of the state folder, no argument and no variable of the environment',
  { skip },
  async () => {
    await using device = await open('one');
    await device.extend(1, randomBytes(32));
    const folder = join(tokens.folder, 'state', 'one');
    const seen = [
      ...(await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))),
      await readFile('/proc/self/cmdline'),
      Buffer.from(JSON.stringify(process.env)),
      Buffer.from(inspect(device, { depth: 10, showHidden: true })),
    ];
    assert.ok(!Buffer.concat(seen).includes(tokens.pin('one')));
  },
);
