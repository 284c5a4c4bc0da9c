// Tokens against a second implementation, jose: each reads what the other writes, and ours verifies nothing that jose refuses.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CompactSign, compactVerify } from 'jose';
import { toBase64url, toHex, utf8 } from './bytes.ts';
import { CoreError } from './error.ts';
import { signJws, verifyJws } from './jws.ts';
import { signerFromKey } from './signer.ts';

const keys = [
  { alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  { alg: 'EdDSA', ...generateKeyPairSync('ed25519') },
] as const;
const typ = 'test+jwt';
const limits = { typ, maxBytes: 4096 };
const payloads = fc.uint8Array({ maxLength: 200 });
const someRuns = { numRuns: 30 };

for (const { alg, publicKey, privateKey } of keys) {
  const ours = (token: string): string | undefined => {
    try {
      const verdict = verifyJws(token, publicKey, limits);
      return verdict.kind === 'verified' ? toHex(verdict.payload) : undefined;
    } catch (error) {
      if (error instanceof CoreError) return undefined;
      throw error;
    }
  };
  const theirs = async (token: string): Promise<string | undefined> => {
    const verified = await compactVerify(token, publicKey, { algorithms: [alg] }).catch(() => undefined);
    return verified === undefined ? undefined : toHex(verified.payload);
  };

  test(`${alg}: jose verifies our tokens`, async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        const token = await signJws(payload, signerFromKey(privateKey), { typ, kid: 'k1' });
        const { protectedHeader } = await compactVerify(token, publicKey, { algorithms: [alg] });
        assert.deepEqual(protectedHeader, { alg, kid: 'k1', typ });
        assert.equal(await theirs(token), toHex(payload));
      }),
      someRuns,
    );
  });

  test(`${alg}: we verify tokens of jose`, async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        const token = await new CompactSign(payload).setProtectedHeader({ alg, kid: 'k1', typ }).sign(privateKey);
        assert.equal(ours(token), toHex(payload));
      }),
      someRuns,
    );
  });

  test(`${alg}: what jose refuses, we refuse`, async () => {
    const token = await signJws(utf8('{"a":1}'), signerFromKey(privateKey), { typ, kid: 'k1' });
    const alphabet = Array.from('ABCDwxyz0189-_.=+/ {"');
    const change = fc.record({
      at: fc.nat(token.length),
      removed: fc.nat(2),
      added: fc.array(fc.constantFrom(...alphabet)),
    });
    const counts = { same: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(change, async ({ at, removed, added }) => {
        const changed = token.slice(0, at) + added.join('') + token.slice(at + removed);
        const verified = ours(changed);
        if (verified !== undefined) assert.equal(await theirs(changed), verified);
        counts[verified === undefined ? 'refused' : 'same'] += 1;
      }),
      { numRuns: 300, examples: [[{ at: 0, removed: 0, added: [] }]] },
    );
    assert.ok(counts.same > 0 && counts.refused > 0);
  });

  test(`${alg}: we are stricter than jose: a header parameter or a spelling that we never write is refused`, async () => {
    const payload = utf8('{}');
    const sign = (header: { readonly alg: string } & Readonly<Record<string, unknown>>) =>
      new CompactSign(payload).setProtectedHeader(header).sign(privateKey);
    for (const header of [
      { alg, kid: 'k1', typ, cty: 'x' },
      { alg, typ, kid: 'k1' },
      { alg, typ },
      { alg, kid: 'k1' },
    ]) {
      const token = await sign(header);
      assert.equal(await theirs(token), toHex(payload));
      assert.equal(ours(token), undefined, JSON.stringify(header));
    }
  });
}

test('neither takes an algorithm from the token: `none`, or HS256 with the public key as its secret', async () => {
  for (const { alg, publicKey } of keys) {
    const secret = publicKey.export({ type: 'spki', format: 'der' });
    const unsigned = `${toBase64url(utf8(JSON.stringify({ alg: 'none', kid: 'k1', typ })))}.${toBase64url(utf8('{}'))}.`;
    const hs256 = await new CompactSign(utf8('{}')).setProtectedHeader({ alg: 'HS256', kid: 'k1', typ }).sign(secret);
    for (const token of [unsigned, hs256]) {
      assert.throws(() => verifyJws(token, publicKey, limits), { code: 'token-invalid' });
      await assert.rejects(compactVerify(token, publicKey, { algorithms: [alg] }));
    }
  }
});
