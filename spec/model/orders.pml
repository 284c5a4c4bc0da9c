/* Journey: quarantine, and the other orders of an operator that a key depends on, one after the other.
   hub/src/respond/quarantine.ts, hub/src/model/releases.ts, hub/src/doors/operator/door.ts, hub/src/people/token-authority.ts. */

mtype:order = { none, quarantine, let_back, withdraw, apply_policy, change_group, withdraw_references, revoke_certificate };

/* The store: whether the operator's token is good. Somebody else can end it at any moment. */
bool token_ended;
active proctype EndToken() { token_ended = true }

bool act_by_an_ended_token;

inline end_leases() {
  for (i : 0 .. RELEASES - 1) { lease[i].ended = lease[i].recorded }
  i = 0
}

proctype Operator(byte first; byte most) {
  byte mine, i, me = first;
  mtype:order what = none;

end:
  do
  :: /* The door: the token is good. */
     atomic { me < first + most && !token_ended -> mine = start; select_order(what) };
     {
       transaction {
         /* The authority of the request is read again. */
         if :: token_ended -> goto refused :: else fi;
         if
         :: what == quarantine && standing[0] == enrolled -> standing[0] = quarantined; end_leases()
         :: what == let_back && standing[0] == quarantined -> standing[0] = enrolled; quarantine_is_answered = false
         :: what == withdraw && !withdrawn -> withdrawn = true; end_leases()
         :: what == apply_policy -> policy_forbids = true
         :: what == change_group -> left_the_group = true
         :: what == withdraw_references -> references_withdrawn = true
         :: what == revoke_certificate -> certificate_revoked = true
         :: else -> goto refused
         fi;
         append_entry(me);
         change(me);
         forbid(act_by_an_ended_token, token_ended)
       };
       /* Connections are closed after the transaction, so that a device that comes back at once is refused, and before the answer. */
       if
       :: what == quarantine || what == revoke_certificate -> cut_connections()
       :: else
       fi;
       atomic {
         answer(me);
         if
         :: what == quarantine -> quarantine_is_answered = true
         :: what == withdraw -> withdrawal_is_answered = true
         :: else
         fi
       }
     } until_the_hub_ends;
refused:
     atomic { me++; mine = 0; what = none }
  od
}
