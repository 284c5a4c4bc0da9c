/* Journey: a model key is released. The numbers are those of spec/access.md, "The decision, in order".
   hub/src/doors/device/release.ts, hub/src/access/release.ts, hub/src/access/release-record.ts. */

typedef Lease { bool recorded; bool ended };

/* The store: what a decision rests on. Each can change once, to what forbids the key. */
Lease lease[RELEASES];
byte leases;                /* how many were recorded in the window */
bool certificate_revoked;
bool withdrawn;             /* the release of the model */
bool policy_forbids;        /* a newer policy */
bool left_the_group;        /* a fact that the policy looks at */
bool references_withdrawn;  /* the reference values that this boot fits */

byte asked;                 /* the releases are alike: the first one asks first */

bool lease_for_a_cut_off_device, lease_by_a_revoked_certificate, lease_of_a_withdrawn_release, lease_against_the_policy,
  lease_on_former_facts, lease_on_former_references, lease_beyond_the_budget, key_without_its_entry,
  key_before_its_checkpoint, key_after_quarantine, key_after_withdrawal;
bool quarantine_is_answered, withdrawal_is_answered;

proctype Release(byte me; byte on) {
  byte mine;

  /* 1, 2. The door: a bound connection; its challenge is used up. */
enddoor:
  atomic { is_open[on] && is_bound[on] && asked == me -> mine = start; asked++ };
  {
    skip;
appraise:
    /* 3, 4, 4a, 5. Read outside of a transaction: the device, the release, the budget, the reference values. */
    if :: cut_off(0) || withdrawn || leases >= BUDGET || references_withdrawn -> goto refused :: else fi;
judge:
    /* 6, 7. The policy, and the facts that it looks at. */
    if :: policy_forbids || left_the_group -> goto refused :: else fi;

    /* 8. In one transaction. */
    transaction {
      /* The authority of the request is read again: certificate, device, connection (hub/src/doors/device/authority.ts). */
      if :: certificate_revoked || cut_off(0) || !is_bound[on] -> goto refused :: else fi;
      /* So is everything that the decision rested on: a key needs the answer of now. */
      if :: policy_forbids || left_the_group -> goto judge :: else fi;
      if :: withdrawn -> goto refused :: else fi;
      if :: references_withdrawn -> goto appraise :: else fi;
      if :: leases >= BUDGET -> goto refused :: else fi;
      append_entry(me);
      change(me);
      lease[me].recorded = true;
      leases++;
      forbid(lease_for_a_cut_off_device, cut_off(0));
      forbid(lease_by_a_revoked_certificate, certificate_revoked);
      forbid(lease_of_a_withdrawn_release, withdrawn);
      forbid(lease_against_the_policy, policy_forbids);
      forbid(lease_on_former_facts, left_the_group);
      forbid(lease_on_former_references, references_withdrawn);
      forbid(lease_beyond_the_budget, leases > BUDGET)
    };

    /* 9. The entry is under a checkpoint. */
    in(covered, me);

    /* 10. The lease still runs and the connection is still bound. From this read to the socket the hub waits for nothing. */
    atomic {
      if :: lease[me].ended || !is_open[on] || !is_bound[on] -> goto refused :: else fi;
      forbid(key_without_its_entry, !in(rows, me));
      forbid(key_before_its_checkpoint, !in(checkpointed, me));
      forbid(key_after_quarantine, quarantine_is_answered);
      forbid(key_after_withdrawal, withdrawal_is_answered);
      answer(me)
    }
  } until_the_hub_ends;
refused:
  mine = 0
}
