/* Scenario: a device that moves, and a party that has a copy of what can be copied, or makes the device's TPM answer for it. */
#define PLACES 3
#define DEVICE 0
#define COPY 1

bool copyable;    /* the root of trust is a file */
bool relays;      /* it is hardware, and an attacker on the device passes challenges to it */
bool hold_both;   /* the setting identity.concurrentSessions */
bool copy_acted;  /* ghost */

#define forbid(property, broken) property = (broken); assert(!property)
#define has_root_of_trust(party) (party == DEVICE || copyable || relays)
/* Everybody has evidence that the device once made. Over the connection in question only what the root of trust signs now. */
#define over_this_connection(party) has_root_of_trust(party)

#include "bind.pml"

byte device_at;   /* the device uses one place at a time: 0 or 1. The copy is at 2. */
bool device_asks, copy_asks, device_recovers;

proctype Device() {
  byte i, k;
  bool moved;
end:
  do
  :: device_asks = true; bind(device_at, DEVICE); device_asks = false
  :: place[device_at].live -> device_asks = true; use(device_at); device_asks = false
  :: /* Another network; what it sent before has arrived. */
     atomic { !moved -> moved = true; device_at = 1 }
  :: /* A restart: a recovery begins a lineage. */
     device_recovers = true; atomic { newest_certificate = DEVICE; device_recovers = false }
  od
}

proctype Copy() {
  byte i, k;
end:
  do
  :: atomic { copy_asks = true; copy_acted = true }; bind(2, COPY); copy_asks = false
  :: atomic { place[2].live -> copy_asks = true }; use(2); copy_asks = false
  :: atomic { copyable -> newest_certificate = COPY }
  od
}

/* The time after which a request on an older place shows that there are two: 2 seconds after a refusal, 60 after letting in. */
proctype Deadline(byte p) {
end:
  do
  :: atomic { place[p].conflict && !place[p].is_due -> place[p].is_due = true }
  od
}

/* silentSeconds pass without a request. */
proctype Silence(byte p) {
end:
  do
  :: atomic { place[p].heard -> place[p].heard = false }
  od
}

/* TCP's probes end a place whose machine is gone. */
proctype Probe() {
  byte i;
end:
  do
  :: atomic { place[0].live && place[0].conflict && device_at != 0 -> end_place(0) }
  od
}

init {
  atomic {
    if :: copyable = true :: skip :: relays = true fi;
    if :: hold_both = true :: skip fi;
    last_bound = NOBODY;
    place[0].newcomer = NOBODY; place[1].newcomer = NOBODY; place[2].newcomer = NOBODY;
    run Device(); run Copy(); run Probe();
    run Deadline(0); run Deadline(1); run Deadline(2);
    run Silence(0); run Silence(1); run Silence(2)
  }
}

/* DEV-09, DEV-11: where both go on, somebody hears of it. A device that restarts again and again has each time the newest lineage. */
ltl two_places_are_noticed { (([] <> device_asks) && ([] <> copy_asks) && (<> [] !device_recovers)) -> <> alerted }
