/* Scenario: parties enroll under two ids with two roots of trust and one token, a device is wiped, replaced and comes back, and what it
   was before tries everything. */
#ifndef ENROLLMENTS
#define ENROLLMENTS 2
#endif
#ifndef CERTIFICATIONS
#define CERTIFICATIONS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef EXPECTED
#define EXPECTED 1   /* whether an import lists id 1: 0 no, 2 yes, 1 both */
#endif
#define DEVICES 2
#define CONNECTIONS 1
#define first_certify ENROLLMENTS
#define first_order (ENROLLMENTS + CERTIFICATIONS)

#include "hub.pml"

inline forget() { skip }

/* Somebody: any id, any root of trust that they have, a new key or the one of the disk. */
inline select_enrollment(chosen_device, chosen_root, chosen_key) {
  if :: chosen_device = 0 :: chosen_device = 1 fi;
  if :: chosen_root = 1 :: chosen_root = 2 fi;
  if :: chosen_key = false :: chosen_key = true fi
}

byte enroll_asked, certify_asked;   /* those who ask are alike: the first one asks first */
byte shown_certificate;             /* the identity of the certificate that the connection was opened with */

#include "enroll.pml"
#include "wipe.pml"
#include "certify.pml"
#include "crash.pml"

bool bound_without_its_root, bound_as_a_former_identity, former_identity_at_the_door;

/* Journey: bind (hub/src/access/bind.ts), by a certificate of any identity, and any root of trust. */
active proctype Bind() {
  byte mine, shown;
end:
  do
  :: atomic { !is_open[0] && identity[0] > 0 ->
       is_open[0] = true; is_bound[0] = false;
       if :: shown_certificate = identity[0] :: identity[0] > 1 -> shown_certificate = 1 fi
     }
  :: atomic { is_open[0] -> mine = start; if :: shown = 1 :: shown = 2 fi };
     {
       /* The evidence is the registered root's, over this connection. */
       if :: cut_off(0) || root[0] != shown -> goto refused :: else fi;
       transaction {
         if :: cut_off(0) || !in(certified[0], shown_certificate) -> goto refused :: else fi;
         forbid(bound_without_its_root, root[0] != shown);
         forbid(bound_as_a_former_identity, shown_certificate != identity[0])
       };
       is_bound[0] = true
     } until_the_hub_ends;
refused:
     atomic { mine = 0; shown = 0 }
  :: /* Any request of a bound device. */
     atomic { is_open[0] && is_bound[0] -> forbid(former_identity_at_the_door, in(wipe_answered, shown_certificate)) }
  od
}

init {
  byte i;
  atomic {
    if :: EXPECTED > 0 -> expected = true :: EXPECTED < 2 -> skip fi;
    for (i : 0 .. DEVICES - 1) { standing[i] = absent };
    for (i : 0 .. ENROLLMENTS - 1) { run Enroll(i) };
    for (i : 0 .. CERTIFICATIONS - 1) { run Certify(first_certify + i) };
    run Workshop(first_order, first_order + 1);
    run Crash();
    i = 0
  }
}
