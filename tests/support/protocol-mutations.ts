// Rules that are taken out of the model of the protocol (spec/model), one by one. Each must lead to a counterexample to the property that it is
// there for; `tests/protocol-model.system.test.ts` finds a property that no mutation breaks.
import type { ModelRun, ModelSources } from './spin.ts';

export interface Mutation {
  /** What the hub would do. */
  readonly name: string;
  readonly breaks: string;
  readonly run: ModelRun;
  /** In this order; each text is there once. */
  readonly edits: readonly (readonly [file: string, from: string, to: string])[];
}

const quiet = 'CRASHES=0';
const keys = { scenario: 'keys', bounds: ['ORDERS=1', quiet] } as const;
const crashingKeys = { scenario: 'keys', bounds: ['ORDERS=1', 'RELEASES=1'] } as const;
const identity = { scenario: 'identity', bounds: [quiet] } as const;
const sessions = { scenario: 'sessions' } as const;
const people = { scenario: 'people', bounds: ['REQUESTS=1', quiet] } as const;

const authorityAgain = 'if :: certificate_revoked || cut_off(0) || !is_bound[on] -> goto refused :: else fi;';
const lastLook = 'if :: lease[me].ended || !is_open[on] || !is_bound[on] -> goto refused :: else fi;';
const askedAgain = 'if :: policy_forbids || left_the_group -> goto judge :: else fi;';
const change = '      append_entry(me);\n      change(me);\n      lease[me]';
const orderChange = '         append_entry(me);\n         change(me);\n         forbid(act_by';
const door = 'if :: token_ended -> goto refused :: else fi;';

const ofTheLog: readonly Mutation[] = [
  {
    name: 'an order is done without an entry',
    breaks: 'answered_without_its_entry',
    run: keys,
    edits: [['orders.pml', orderChange, '         change(me);\n         forbid(act_by']],
  },
  {
    name: 'an order is answered before its transaction',
    breaks: 'answered_and_lost',
    run: crashingKeys,
    edits: [['orders.pml', '       transaction {', '       insert(answered, me);\n       transaction {']],
  },
  {
    name: 'the entry is written in a transaction of its own',
    breaks: 'change_without_its_entry',
    run: crashingKeys,
    edits: [
      ['orders.pml', orderChange, '         change(me);\n         forbid(act_by'],
      ['orders.pml', '         answer(me);', '         append_entry(me);\n         answer(me);'],
    ],
  },
  {
    name: 'a key that is asked about again gets a second entry',
    breaks: 'entry_twice',
    run: keys,
    edits: [
      ['release.pml', askedAgain, `append_entry(me); ${askedAgain}`],
      ['release.pml', change, `      append_entry(me);${change}`],
    ],
  },
  {
    name: 'the log signs an entry that is not committed',
    breaks: 'signed_without_its_row',
    run: crashingKeys,
    edits: [['release.pml', 'judge:\n', 'judge:\n    insert(checkpointed, me);\n']],
  },
  {
    name: 'a hub that starts takes what is committed for signed',
    breaks: 'every_entry_is_signed',
    run: { ...crashingKeys, ltl: 'every_entry_is_signed' },
    edits: [['crash.pml', 'covered = checkpointed', 'covered = rows']],
  },
];

const ofKeys: readonly Mutation[] = [
  {
    name: 'the transaction does not read the state of the device again',
    breaks: 'lease_for_a_cut_off_device',
    run: keys,
    edits: [['release.pml', authorityAgain, authorityAgain.replace('cut_off(0) || ', '')]],
  },
  {
    name: 'the transaction does not read the certificate again',
    breaks: 'lease_by_a_revoked_certificate',
    run: keys,
    edits: [['release.pml', authorityAgain, authorityAgain.replace('certificate_revoked || ', '')]],
  },
  {
    name: 'the transaction does not read the release again',
    breaks: 'lease_of_a_withdrawn_release',
    run: keys,
    edits: [['release.pml', '      if :: withdrawn -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'the transaction does not read the version of the policy again',
    breaks: 'lease_against_the_policy',
    run: keys,
    edits: [['release.pml', askedAgain, askedAgain.replace('policy_forbids || ', '')]],
  },
  {
    name: 'the transaction does not read the facts of the policy again',
    breaks: 'lease_on_former_facts',
    run: keys,
    edits: [['release.pml', askedAgain, askedAgain.replace(' || left_the_group', '')]],
  },
  {
    name: 'the transaction does not read the reference values again',
    breaks: 'lease_on_former_references',
    run: keys,
    edits: [['release.pml', '      if :: references_withdrawn -> goto appraise :: else fi;\n', '']],
  },
  {
    name: 'the budget is counted before the transaction alone',
    breaks: 'lease_beyond_the_budget',
    run: keys,
    edits: [['release.pml', '      if :: leases >= BUDGET -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'a key leaves without an entry',
    breaks: 'key_without_its_entry',
    run: keys,
    edits: [
      ['release.pml', change, '      change(me);\n      lease[me]'],
      ['release.pml', '    in(covered, me);', '    skip;'],
    ],
  },
  {
    name: 'a key leaves when its entry is committed, before a checkpoint covers it',
    breaks: 'key_before_its_checkpoint',
    run: keys,
    edits: [['release.pml', '    in(covered, me);', '    in(rows, me);']],
  },
  {
    name: 'neither lease nor connection is looked at again before the key leaves',
    breaks: 'key_after_quarantine',
    run: keys,
    edits: [['release.pml', lastLook, 'skip;']],
  },
  {
    name: 'the lease is not looked at again before the key leaves',
    breaks: 'key_after_withdrawal',
    run: keys,
    edits: [['release.pml', lastLook, lastLook.replace('lease[me].ended || ', '')]],
  },
  {
    name: 'the transaction of an order does not read its token again',
    breaks: 'act_by_an_ended_token',
    run: keys,
    edits: [['orders.pml', `         ${door}\n`, '']],
  },
];

const ofIdentities: readonly Mutation[] = [
  {
    name: 'step two does not look again whether the id has enrolled',
    breaks: 'enrolled_over_another',
    run: identity,
    edits: [
      [
        'enroll.pml',
        '      if :: identity[device] != seen || (standing[device] != absent && standing[device] != wiped) -> goto refused :: else fi;\n',
        '      seen = identity[device];\n',
      ],
    ],
  },
  {
    name: 'step two does not look again at the token',
    breaks: 'token_spent_twice',
    run: identity,
    edits: [['enroll.pml', '      if :: needs_token(device) && token_spent -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'step two does not look again whose the root of trust is',
    breaks: 'root_of_trust_in_two_devices',
    run: identity,
    edits: [['enroll.pml', '      if :: !root_is_free(device, shown) -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'step two does not look again which root of trust was ordered',
    breaks: 'came_back_with_another_root',
    run: identity,
    edits: [
      [
        'enroll.pml',
        '      if :: standing[device] == wiped && !right_hardware(device, shown) -> goto refused :: else fi;\n',
        '',
      ],
    ],
  },
  {
    name: 'a key that was certified for an earlier identity is certified again',
    breaks: 'key_of_two_identities',
    run: identity,
    edits: [
      [
        'enroll.pml',
        '      if :: is_copied_key && key_is_of_another(device, seen + 1) -> goto refused :: else fi;\n',
        '',
      ],
    ],
  },
  {
    name: 'a recovery that began before a wipe gets its certificate',
    breaks: 'certificate_of_a_former_identity',
    run: identity,
    edits: [
      [
        'certify.pml',
        '      if :: standing[0] == wiped || identity[0] != seen -> goto refused :: else fi;\n',
        '      if :: standing[0] == wiped -> goto refused :: else fi;\n',
      ],
    ],
  },
  {
    name: 'recovery takes any root of trust',
    breaks: 'certificate_for_another_root',
    run: identity,
    edits: [['certify.pml', ' || root[0] != shown', '']],
  },
  {
    name: 'a device that was cut off during its renewal gets the next certificate',
    breaks: 'certified_for_a_cut_off_device',
    run: identity,
    edits: [['certify.pml', '      if :: cut_off(0) -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'a connection is bound by another root of trust',
    breaks: 'bound_without_its_root',
    run: identity,
    edits: [['identity.pml', ' || root[0] != shown', '']],
  },
  {
    name: 'a bind does not ask whether the certificate was revoked',
    breaks: 'bound_as_a_former_identity',
    run: identity,
    edits: [['identity.pml', ' || !in(certified[0], shown_certificate)', '']],
  },
  {
    name: 'quarantine and wipe leave connections open',
    breaks: 'former_identity_at_the_door',
    run: identity,
    edits: [
      ['wipe.pml', 'cut_connections();  /* quarantined */', ''],
      ['wipe.pml', 'cut_connections();  /* wiped */', ''],
    ],
  },
];

const ofSessions: readonly Mutation[] = [
  {
    name: 'evidence over another connection is taken',
    breaks: 'bound_without_the_root_of_trust',
    run: sessions,
    edits: [
      ['sessions.pml', 'over_this_connection(party) has_root_of_trust(party)', 'over_this_connection(party) true'],
    ],
  },
  {
    name: 'the newest client wins',
    breaks: 'let_in_beside_a_live_place',
    run: sessions,
    edits: [['bind.pml', ' || (copyable && some_other(p, heard))', '']],
  },
  {
    name: 'a client is let in beside a contested place',
    breaks: 'let_in_beside_a_contested_place',
    run: sessions,
    edits: [['bind.pml', ':: some_other(p, contested) || ', ':: ']],
  },
  {
    name: 'of two places the older one is cut',
    breaks: 'first_place_cut',
    run: sessions,
    edits: [['bind.pml', 'k = place[p].newcomer;', 'k = p;']],
  },
  {
    name: 'a device that is held binds again',
    breaks: 'bound_while_held',
    run: sessions,
    edits: [['bind.pml', ':: held -> skip', ':: false -> skip']],
  },
  {
    name: 'an alert is raised about who comes, not about who goes on',
    breaks: 'alert_for_an_honest_move',
    run: sessions,
    edits: [['bind.pml', '/* Taken. */', 'alert();']],
  },
  {
    name: 'a bind on a bound connection forgets what is known about it',
    breaks: 'two_places_are_noticed',
    run: { ...sessions, ltl: 'two_places_are_noticed' },
    edits: [['bind.pml', '-> use(p)', '-> place[p].heard = true; place[p].conflict = false; place[p].is_due = false']],
  },
  {
    name: 'a claim that is repeated puts the deadline off',
    breaks: 'two_places_are_noticed',
    run: { ...sessions, ltl: 'two_places_are_noticed' },
    edits: [['bind.pml', '  place[p].conflict = true;\n', '  place[p].conflict = true; place[p].is_due = false;\n']],
  },
];

const spent = '      if :: request[r].kept != waiting -> goto refused :: else fi;\n';
const bothAgain = '      if :: ended[token] || ended[request[r].token] -> goto refused :: else fi;\n';
const ofPeople: readonly Mutation[] = [
  {
    name: 'a person approves their own request with another token',
    breaks: 'act_by_one_person',
    run: people,
    edits: [
      [
        'approve.pml',
        '      if :: person_of(token) == person_of(request[r].token) -> goto refused :: else fi;\n',
        '      if :: token == request[r].token -> goto refused :: else fi;\n',
      ],
    ],
  },
  {
    name: 'an approval is not spent',
    breaks: 'act_twice',
    run: people,
    edits: [['approve.pml', spent, '']],
  },
  {
    name: 'another request is carried out than was read',
    breaks: 'act_other_than_read',
    run: people,
    edits: [['approve.pml', '      if :: read != request[r].content -> goto refused :: else fi;\n', '']],
  },
  {
    name: 'the tokens of both are not read again in the transaction that acts',
    breaks: 'act_by_an_ended_token',
    run: people,
    edits: [['approve.pml', bothAgain, '']],
  },
  {
    name: 'an approval leaves no entry',
    breaks: 'act_without_an_approval_in_the_log',
    run: people,
    edits: [['approve.pml', '      append_entry(approval);\n', '']],
  },
];

export const mutations: readonly Mutation[] = [...ofTheLog, ...ofKeys, ...ofIdentities, ...ofSessions, ...ofPeople];

/** The model with the edits of a mutation; throws when a text to replace is not there exactly once. */
export function mutated(sources: ModelSources, { name, edits }: Mutation): ModelSources {
  const changed = new Map(sources);
  for (const [file, from, to] of edits) {
    const text = changed.get(file) ?? '';
    const times = text.split(from).length - 1;
    if (times !== 1) throw new TypeError(`${name}: found ${times} times in ${file}: ${from}`);
    changed.set(
      file,
      text.replace(from, () => to),
    );
  }
  return changed;
}
