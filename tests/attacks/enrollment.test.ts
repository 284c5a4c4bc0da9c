// Enrollments that must be refused: TPMs of unknown makers, keys in another place than claimed, second identities, spent tokens.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { parseBase64url, parseHex, toBase64url } from '@edgekeep/core/bytes';
import { encodeSizedPublic, objectAttributes, parsePublic } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { certificateResponse, enrollChallengeRequest } from '@edgekeep/wire/api/enrollment';
import { z } from 'zod';
import { accepted, type Answer, assertRefused, type RefusalBody } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';
import { skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let enrolled: TestDevice;
let stranger: TestDevice;
let foreign: TestDevice;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  enrolled = await fleet.device('enrolled');
  stranger = await fleet.newDevice('stranger');
  foreign = await fleet.newDevice('foreign', undefined, 'another-vendor');
});
after(() => fleet?.[Symbol.asyncDispose]());

function refusedFor(answer: Answer, reason: string, says?: RegExp): RefusalBody {
  return assertRefused(answer, { status: 403, code: 'enrollment-refused', reason, ...(says && { says }) });
}

const token = () => fleet.world.enrollmentToken();

async function assertUnknown(...ids: readonly string[]): Promise<void> {
  for (const id of ids) await assert.rejects(fleet.world.device(id), { code: 'not-found' });
}

// SECURITY.md: DEV-01
test('a TPM whose endorsement certificate is of an unknown vendor is refused', { skip }, async () => {
  refusedFor(await foreign.tryEnroll(fleet.world, await token()), 'endorsement-refused', /known TPM maker/);
  await assertUnknown('foreign');
});

test('the certificates of a known vendor beside those of an unknown one help nothing', { skip }, async () => {
  const known = await stranger.identity();
  const borrowed = known.kind === 'tpm' ? known.endorsementCertificates : [];
  const answer = await foreign.tryEnroll(fleet.world, await token(), {
    start: (honest) =>
      withIdentity(honest, ({ endorsementCertificates: own }) => ({
        endorsementCertificates: [...own, ...borrowed].slice(0, 5),
      })),
  });
  refusedFor(answer, 'endorsement-refused');
});

test('the endorsement certificate of another TPM does not vouch for an own endorsement key', { skip }, async () => {
  const known = await stranger.identity();
  const borrowed = known.kind === 'tpm' ? known.endorsementCertificates : [];
  const answer = await foreign.tryEnroll(fleet.world, await token(), {
    start: (honest) => withIdentity(honest, () => ({ endorsementCertificates: borrowed })),
  });
  refusedFor(answer, 'endorsement-key-differs');
});

test('a vendor’s own CA certificate is not an endorsement certificate', { skip }, async () => {
  const { intermediate } = fleet.vendor;
  const der = Buffer.from(intermediate.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  const answer = await stranger.tryEnroll(fleet.world, await token(), {
    start: (honest) => withIdentity(honest, () => ({ endorsementCertificates: [toBase64url(der)] })),
  });
  refusedFor(answer, 'endorsement-refused');
});

// SECURITY.md: DEV-01
test('an attestation key that is not in the TPM of the endorsement key is refused', { skip }, async (t) => {
  const other = await foreign.identity();
  const attestationKey = other.kind === 'tpm' ? other.attestationKey : '';
  const withForeignKey = (honest: object) => withIdentity(honest, () => ({ attestationKey }));

  await t.test('its TPM refuses to open the credential', async () => {
    const opened = stranger.tryEnroll(fleet.world, await token(), { start: withForeignKey });
    await assert.rejects(opened, { code: 'tpm-blob-refused' });
  });
  for (const [name, secret] of [
    ['a guessed secret', randomBytes(32)],
    ['an empty secret', new Uint8Array(0)],
    ['no secret', undefined],
  ] as const) {
    await t.test(`${name} is refused`, async () => {
      const changes = { start: withForeignKey, secret: async () => secret };
      refusedFor(await stranger.tryEnroll(fleet.world, await token(), changes), 'credential-not-activated');
    });
  }
  await t.test('the secret of an earlier challenge is refused', async () => {
    let earlier: Uint8Array | undefined;
    const spoil = {
      secret: async (activate: () => Promise<Uint8Array>) => (earlier = await activate()),
      end: () => ({}),
    };
    await stranger.tryEnroll(fleet.world, await token(), spoil);
    const again = { secret: async () => earlier };
    refusedFor(await stranger.tryEnroll(fleet.world, await token(), again), 'credential-not-activated');
  });
  await assertUnknown('stranger');
});

// SECURITY.md: DEV-55
test(
  'an attestation key outside of the listed profiles does not enroll, and the refusal says what it is',
  { skip },
  async (t) => {
    const folder = join(import.meta.dirname, '../../spec/vectors/attest/attestation-key');
    const weak = z.looseObject({ publicArea: z.string(), says: z.string() });
    for (const name of [
      'sha1-name',
      'rsa-1024',
      'exponent-3',
      'auth-policy',
      'st-clear',
      'x509-sign',
      'not-restricted',
    ]) {
      await t.test(name, async () => {
        const { publicArea, says } = weak.parse(
          JSON.parse(await readFile(join(folder, `invalid-${name}.json`), 'utf8')),
        );
        const attestationKey = toBase64url(parseHex(publicArea, name));
        const answer = await stranger.tryEnroll(fleet.world, await fleet.world.enrollmentToken(), {
          start: (honest) => withIdentity(honest, () => ({ attestationKey })),
        });
        assertRefused(answer, { status: 400, code: 'request-invalid', says: new RegExp(says) });
      });
    }
  },
);

test('an operational key is certified only when the quote is over it', { skip }, async () => {
  const { request } = await newOperationalKey('stranger');
  const answer = await stranger.tryEnroll(fleet.world, await token(), {
    end: (honest) => ({ ...honest, certificateRequest: toBase64url(request) }),
  });
  refusedFor(answer, 'qualifying-data-mismatch');
});

test('the second step of an enrollment is refused on a connection that did not see the first', { skip }, async () => {
  await using link = await DeviceLink.open(fleet.world.hub);
  const body = {
    certificateRequest: '',
    evidence: await stranger.evidence('local', randomBytes(32), new Uint8Array(0)),
    witnessKey: '',
  };
  assertRefused(await link.ask('POST', '/v1/enroll/complete', body), { status: 409, code: 'challenge-missing' });
});

// SECURITY.md: DEV-01
test('a second device under the same endorsement key is refused', { skip }, async (t) => {
  const rename = (honest: object) => ({ ...honest, deviceId: 'twin' });
  await t.test('as it is', async () => {
    const answer = await enrolled.tryEnroll(fleet.world, await token(), { start: rename });
    refusedFor(answer, 'root-of-trust-taken', /as enrolled/);
  });
  await t.test('with its public area written differently', async () => {
    const answer = await enrolled.tryEnroll(fleet.world, await token(), {
      start: (honest) =>
        withIdentity(rename(honest), ({ endorsementKey }) => {
          const area = parsePublic(parseBase64url(endorsementKey, 'endorsementKey'));
          const changed = { ...area, attributes: area.attributes ^ objectAttributes.noDictionaryAttack };
          return { endorsementKey: toBase64url(encodeSizedPublic(changed)) };
        }),
    });
    assert.equal(answer.status, 403, 'one TPM became two devices');
    refusedFor(answer, 'root-of-trust-taken');
  });
  await assertUnknown('twin');
});

test('a device id that is taken is refused', { skip }, async () => {
  const answer = await stranger.tryEnroll(fleet.world, await token(), {
    start: (honest) => ({ ...honest, deviceId: 'enrolled' }),
  });
  refusedFor(answer, 'device-id-taken');
});

test('two enrollments of one id at a time give one device', { skip }, async () => {
  const simulator = await fleet.simulator('racer');
  const racer = fleet.keep(await TestDevice.withTpm('racer', simulator));
  const [one, two] = [await token(), await token()];
  const answers = await Promise.all([racer.tryEnroll(fleet.world, one), racer.tryEnroll(fleet.world, two)]);
  assert.deepEqual(
    answers.map(({ status }) => status).sort((a, b) => a - b),
    [200, 403],
  );
  assert.equal(
    (await fleet.world.entries('device-enrolled')).filter(({ subject }) => subject === 'device:racer').length,
    1,
  );
});

test('a witness key of another device is refused: one witness would count as two', { skip }, async (t) => {
  const { name, signer } = enrolled.witness;
  const renamed = encodeVerifierKey(verifierKey(`${name}-again`, signer.publicKey, 'cosignature-v1'));
  for (const [title, witnessKey] of [
    ['as it is', enrolled.witnessKey],
    ['under another name', renamed],
  ] as const) {
    await t.test(title, async () => {
      const id = `second-${randomBytes(2).toString('hex')}`;
      const device = fleet.keep(await TestDevice.withoutTpm(id, `${fleet.world.folder}/${id}`));
      const answer = await device.tryEnroll(fleet.world, await token(), {
        claims: { witnessKey },
        end: (honest) => ({ ...honest, witnessKey }),
      });
      refusedFor(answer, 'witness-key-taken');
      // Everybody uses the trust file: no device may make it invalid.
      assert.ok((await fleet.world.trust()).policy.witnesses.length > 0);
    });
  }
});

test(
  'an enrollment token is refused when it was used, has expired, is for another device or tier, or was never made',
  { skip },
  async (t) => {
    const { world } = fleet;
    const used = await token();
    const keen = fleet.keep(await TestDevice.withoutTpm('keen', `${world.folder}/keen`));
    accepted(await keen.tryEnroll(world, used), certificateResponse);
    const expired = await world.enrollmentToken({ lifeSeconds: 60 });
    world.clock.advanceSeconds(61);
    const bad: Readonly<Record<string, string | undefined>> = {
      used,
      expired,
      'for another device': await world.enrollmentToken({ deviceId: 'somebody-else' }),
      'for another tier': await world.enrollmentToken({ tier: 'software' }),
      'never made': 'ee_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      missing: undefined,
    };
    for (const [name, text] of Object.entries(bad)) {
      await t.test(name, async () => {
        assertRefused(await stranger.tryEnroll(world, text), {
          status: 403,
          code: 'enrollment-refused',
          says: /enrollment token/,
        });
      });
    }
    await assertUnknown('stranger');
  },
);

// SECURITY.md: HUB-14
test('a token that was used between the two steps of an enrollment is refused at the second', { skip }, async () => {
  const { world } = fleet;
  const shared = await token();
  const [first, second] = await Promise.all(
    ['first-of-two', 'second-of-two'].map(async (id) =>
      fleet.keep(await TestDevice.withoutTpm(id, `${world.folder}/${id}`)),
    ),
  );
  if (first === undefined || second === undefined) return;
  const answers = await Promise.all([first.tryEnroll(world, shared), second.tryEnroll(world, shared)]);
  assert.deepEqual(
    answers.map(({ status }) => status).sort((a, b) => a - b),
    [200, 403],
  );
});

test('what could have been refused is accepted when it is true', { skip }, async () => {
  accepted(await stranger.tryEnroll(fleet.world, await token()), certificateResponse);
});

type TpmIdentity = Extract<DeviceIdentity, { kind: 'tpm' }>;

/** The first message of an enrollment, with members of the TPM's identity replaced. */
function withIdentity(honest: object, change: (identity: TpmIdentity) => Partial<TpmIdentity>): object {
  const start = enrollChallengeRequest.parse(honest);
  return start.identity.kind === 'tpm'
    ? { ...start, identity: { ...start.identity, ...change(start.identity) } }
    : start;
}
