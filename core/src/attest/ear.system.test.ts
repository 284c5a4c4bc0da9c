// The attestation result read by another JWT implementation: Debian's python3-jwt.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import { parseJson, parseValue } from '../json.ts';
import { vectorsOf } from './testing-vectors.ts';

const python = '/usr/bin/python3';
const script = `
import json, sys, jwt
given = json.load(sys.stdin)
options = {"verify_iat": False}
try:
    print(json.dumps({"header": jwt.get_unverified_header(given["token"]),
                      "claims": jwt.decode(given["token"], given["pem"], algorithms=["ES256"], options=options)}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__}))
`;

function missing(): string | false {
  try {
    execFileSync(python, ['-c', 'import jwt, cryptography'], { stdio: 'ignore' });
    return false;
  } catch {
    return process.env['CI'] === 'true' ? false : 'python3-jwt is not installed';
  }
}

const vector = z.object({ token: z.string(), key: z.string(), verdict: z.string() });
const answer = z.object({
  header: z.object({ typ: z.string(), alg: z.string() }),
  claims: z.object({ submods: z.object({ device: z.record(z.string(), z.unknown()) }) }),
});

test(
  'python3-jwt verifies our results and reads their status, and refuses those with a wrong signature',
  { skip: missing() },
  () => {
    for (const { file, token, key } of vectorsOf('result', 'valid', vector)) {
      const pem = createPublicKey({ key: Buffer.from(key, 'hex'), format: 'der', type: 'spki' }).export({
        type: 'spki',
        format: 'pem',
      });
      const output = execFileSync(python, ['-c', script], { input: JSON.stringify({ token, pem }) });
      const found = parseJson(output, z.unknown(), file);
      if (file === 'other-key.json' || file === 'payload-changed.json')
        assert.deepEqual(found, { error: 'InvalidSignatureError' }, file);
      else assert.equal(parseValue(found, answer, file).header.alg, 'ES256');
      if (file === 'contraindicated.json')
        assert.equal(parseValue(found, answer, file).claims.submods.device['ear.status'], 'contraindicated');
    }
  },
);
