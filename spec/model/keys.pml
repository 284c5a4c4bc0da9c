/* Scenario: a device asks for keys on one connection, while an operator gives orders and the hub crashes. */
#ifndef RELEASES
#define RELEASES 2
#endif
#ifndef BUDGET
#define BUDGET 1
#endif
#ifndef ORDERS
#define ORDERS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define DEVICES 1
#define CONNECTIONS 1
#define ACTS (RELEASES + ORDERS)

#include "hub.pml"

inline forget() { skip }

inline select_order(chosen) {
  if
  :: chosen = quarantine
  :: chosen = let_back
  :: chosen = withdraw
  :: chosen = apply_policy
  :: chosen = change_group
  :: chosen = withdraw_references
  :: chosen = revoke_certificate
  fi
}

#include "log.pml"
#include "release.pml"
#include "orders.pml"
#include "crash.pml"

/* Journey: bind (hub/src/access/bind.ts). Again and again; also on a connection that is bound. */
active proctype Bind() {
  byte mine;
end:
  do
  :: atomic { !is_open[0] && !certificate_revoked -> is_open[0] = true; is_bound[0] = false };
  :: atomic { is_open[0] -> mine = start };
     { /* Read before the evidence. */
       transaction { if :: cut_off(0) || certificate_revoked -> goto refused :: else fi };
       /* The policy is asked, and the connection is bound in memory: also one that was closed meanwhile. */
       is_bound[0] = true
     } until_the_hub_ends;
refused:
     mine = 0
  od
}

init {
  byte i;
  atomic {
    standing[0] = enrolled;
    for (i : 0 .. RELEASES - 1) { run Release(i, 0) };
    run Operator(RELEASES, ORDERS);
    run Crash();
    i = 0
  }
}

/* HUB-32: the log is completed, also after a crash. */
ltl every_entry_is_signed { [] <> (checkpointed == rows) }
