import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { testEd25519 } from '../access/testing-receipt.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { signerFromKey } from '../signer.ts';
import { encodeVerifierKey, verifierKey } from './note.ts';
import { encodeTlogPolicy } from './testing-tlog-policy.ts';
import { fewestOf, isEnough, parseTlogPolicy } from './tlog-policy.ts';

const keyOf = (name: string, seed: number, type: 'ed25519' | 'cosignature-v1' = 'cosignature-v1') =>
  encodeVerifierKey(verifierKey(name, signerFromKey(testEd25519(seed)).publicKey, type));
const names = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'];
const witnesses = names.map((name, at) => `witness ${name} ${keyOf(`${name}.example`, at + 20)}`);
/** The example of the format. */
const example = [
  `log ${keyOf('log.example', 10, 'ed25519')} https://log.example/`,
  '# X are of one organization',
  ...witnesses.slice(0, 3),
  'group X-witnesses 2 X1 X2 X3',
  '',
  ...witnesses.slice(3),
  '  group\tY-witnesses any Y1 Y2 Y3  ',
  'group X-and-Y all X-witnesses Y-witnesses',
  'quorum X-and-Y',
  '',
].join('\n');

test('a policy of two levels is met by two of one group and one of the other, and by nothing less', () => {
  const policy = parseTlogPolicy(utf8(example));
  assert.deepEqual([policy.logs.length, policy.witnesses.length, fewestOf(policy.quorum)], [1, 6, 3]);
  const enough = (...cosigned: readonly string[]) => isEnough(policy.quorum, new Set(cosigned));
  assert.equal(enough('X1', 'X3', 'Y2'), true);
  assert.equal(enough('X1', 'X2', 'X3'), false);
  assert.equal(enough('X1', 'Y1', 'Y2', 'Y3'), false);
  assert.equal(isEnough(parseTlogPolicy(utf8('quorum none\n')).quorum, new Set()), true);
});

test('a policy is read again as it is written', () => {
  const policy = parseTlogPolicy(utf8(example));
  assert.deepEqual(encodeTlogPolicy(parseTlogPolicy(encodeTlogPolicy(policy))), encodeTlogPolicy(policy));
});

test('a policy that is not in the form of C2SP is refused', () => {
  const [one = '', two = ''] = witnesses;
  const wrong: readonly (readonly [string, string])[] = [
    ['no quorum', one],
    ['two quorums', `${one}\nquorum X1\nquorum none`],
    ['a quorum that is defined later', `quorum X1\n${one}`],
    ['an unknown line', `${one}\nwitnesses X1\nquorum X1`],
    ['a name twice', `${one}\n${two.replace(' X2 ', ' X1 ')}\nquorum X1`],
    ['a key twice', `${one}\n${one.replace(' X1 ', ' X2 ')}\nquorum X1`],
    ['a key twice under another name of it', `${one}\nwitness X2 ${keyOf('other.example', 20)}\nquorum X1`],
    ['the name none', `${one.replace(' X1 ', ' none ')}\nquorum none`],
    ['a member that is not defined', `${one}\ngroup g any X1 X2\nquorum g`],
    ['a member twice', `${one}\ngroup g 2 X1 X1\nquorum g`],
    ['a member of two groups', `${one}\n${two}\ngroup g any X1\ngroup h all g X1\nquorum h`],
    ['a threshold of nothing', `${one}\ngroup g 0 X1\nquorum g`],
    ['a threshold above the members', `${one}\ngroup g 2 X1\nquorum g`],
    ['a threshold with a sign', `${one}\ngroup g +1 X1\nquorum g`],
    ['a group without members', `${one}\ngroup g any\nquorum g`],
    ['a log as a witness', `witness L ${keyOf('l.example', 9, 'ed25519')}\nquorum L`],
    ['a witness as a log', `log ${keyOf('l.example', 9)}\nquorum none`],
    ['a carriage return', `${one}\r\nquorum X1`],
  ];
  for (const [name, text] of wrong) assert.throws(() => parseTlogPolicy(utf8(text)), CoreError, name);
});

test('random lines are read or refused, and more cosignatures never make a policy less met', () => {
  const line = fc.constantFrom(...witnesses, 'group a 2 X1 X2', 'group b any a X3', 'quorum a', 'quorum b', '#', 'x');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.subarray(names), fc.subarray(names), (lines, some, more) => {
      try {
        const { quorum } = parseTlogPolicy(utf8(lines.join('\n')));
        const few = isEnough(quorum, new Set(some));
        assert.ok(!few || isEnough(quorum, new Set([...some, ...more])));
      } catch (error) {
        assert.ok(error instanceof CoreError, String(error));
      }
    }),
  );
});
