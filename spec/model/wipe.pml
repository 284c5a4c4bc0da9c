/* Journey: quarantine, then a wipe that ends the identity (spec/reonboarding.md; hub/src/respond/quarantine.ts, wipe.ts). Of device 0. */

byte wipe_answered;            /* identities whose wipe an operator was answered */

proctype Workshop(byte quarantine_act; byte wipe_act) {
  byte mine, ends, i;

end:
  do
  :: atomic { standing[0] == enrolled && !in(rows, quarantine_act) -> mine = start };
     {
       transaction {
         if :: standing[0] != enrolled -> goto refused :: else fi;
         standing[0] = quarantined;
         append_entry(quarantine_act);
         change(quarantine_act)
       };
       cut_connections();  /* quarantined */
       atomic { answer(quarantine_act) }
     } until_the_hub_ends;
     mine = 0
  :: atomic { standing[0] == quarantined && !in(rows, wipe_act) -> mine = start };
     {
       transaction {
         if :: standing[0] != quarantined -> goto refused :: else fi;
         standing[0] = wiped;
         certified[0] = 0;
         ends = identity[0];
         append_entry(wipe_act);
         change(wipe_act)
       };
       cut_connections();  /* wiped */
       atomic { answer(wipe_act); insert(wipe_answered, ends) }
     } until_the_hub_ends;
     atomic { mine = 0; ends = 0 }
  :: /* Another board: one order, without an act of its own here. */
     atomic { standing[0] == wiped && next_root[0] == 0 -> next_root[0] = 2 }
  od;
refused:
  skip
}
