import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registryOrigins } from '@edgekeep/core/policy/origins';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { refusalOf } from '../common/testing-refusal.ts';
import { openTestStore } from '../store/testing-store.ts';
import { claimGroupsIn, claimsOfGroup } from './claims.ts';
import { createGroup } from './groups.ts';

test('a claim of devices is found at every place of a filter, and nothing else is', () => {
  for (const [filter, claims] of [
    ['tier==tpm;site==graz,tags.line==press', []],
    ['desired.mode==fast;enrollmentGroup==lot-18', []],
    ['enabled==true;attestation==affirming;enrolledAt>-1h;state==active;id==press-*', []],
    ['tier==tpm;(site==graz,reported.zone==red)', ['reported.zone']],
    ['reported.a=ex=true,reported.a==x', ['reported.a']],
    ['seenAt>-1h', ['seenAt']],
    ['holds==surface;fault=ex=false', ['holds', 'fault']],
  ] as const) {
    assert.deepEqual(claimsOfGroup({ filter }, 0), claims, filter);
  }
});

test('each field of a filter is of the kind that the table says', () => {
  const values: Readonly<Record<string, string>> = {
    id: 'id==press-7',
    tier: 'tier==tpm',
    state: 'state==active',
    attestation: 'attestation==affirming',
    seenAt: 'seenAt>-1h',
    enrolledAt: 'enrolledAt>-1h',
    enabled: 'enabled==true',
    site: 'site==graz',
    enrollmentGroup: 'enrollmentGroup==lot-18',
    group: 'group==line',
    holds: 'holds==belt',
    fault: 'fault==model-unsupported',
    'tags.KEY': 'tags.line==4',
    'reported.PATH': 'reported.zone==red',
    'desired.PATH': 'desired.mode==fast',
  };
  assert.deepEqual(Object.keys(values), Object.keys(registryOrigins));
  for (const [field, origin] of Object.entries(registryOrigins))
    assert.equal(claimsOfGroup({ filter: values[field] ?? '' }, 0).length > 0, origin === 'claimed', field);
});

test('a group is not made of the kind that the policy in force does not take it for', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const statement = (condition: string) =>
    `forbid (principal in Edgekeep::${condition}, action == Edgekeep::Action::"fetch", resource);`;
  const text = `${everyAttestedTpmPolicyText}${statement('Group::"line"')}${statement('ClaimGroup::"cool"')}`;
  const row = {
    version: 1,
    digest: '',
    text,
    applied_at: 1,
    meaning: 'any-action',
    tests: null,
    applied_by: 'x',
  } as const;
  await database.write((trx) => trx.insertInto('policy').values(row).execute());
  const make = (name: string, filter: string) =>
    createGroup(database, { name, description: '', filter, actor: 'person:ada/desk', nowMs: 1 });
  assert.equal(await refusalOf(make('line', 'reported.zone==red')), 'conflict');
  assert.equal(await refusalOf(make('cool', 'tags.zone==red')), 'conflict');
  await make('line', 'tags.zone==red');
  await make('cool', 'reported.zone==red');
  assert.deepEqual(await claimGroupsIn(database.read, 1), new Set(['cool']));
});
