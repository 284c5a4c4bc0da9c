/* Journey: enroll, and come back after a wipe. The numbers are those of spec/enrollment.md; "wiped" is spec/reonboarding.md.
   hub/src/enrollment/start.ts, complete.ts, returning.ts. A party shows a root of trust only if it has it: step two proves it. */

/* The store. Roots of trust are 1 and 2; the identities of one id are counted from 1. */
byte root[DEVICES];            /* the registered root of trust */
byte next_root[DEVICES];       /* the one that an operator ordered for a wiped device; 0: none */
byte identity[DEVICES];        /* how often this id has enrolled */
byte certified[DEVICES];       /* identities with a certificate that is not revoked */
byte copied_key[DEVICES];      /* identities that a certificate was given to for the one key that was on a disk */
bool token_spent;
bool expected;                 /* an import lists id 1, which then needs no token */

bool token_spent_twice, enrolled_over_another, root_of_trust_in_two_devices, came_back_with_another_root,
  certificate_of_a_former_identity, key_of_two_identities;

#define needs_token(device) (standing[device] == absent && !(expected && device == 1))
#define other(device) (1 - device)
#define root_is_free(device, shown) (standing[other(device)] == absent || root[other(device)] != shown)
#define right_hardware(device, shown) (shown == (next_root[device] -> next_root[device] : root[device]))

/* recordCertificate, inside a transaction (hub/src/authority/issue.ts). */
#define key_is_of_another(device, g) ((copied_key[device] & ~(1 << (g))) != 0 || copied_key[other(device)] != 0)
inline record_certificate(device, g, is_copied_key) {
  insert(certified[device], g);
  if :: is_copied_key -> insert(copied_key[device], g) :: else fi;
  forbid(certificate_of_a_former_identity, g != identity[device] || standing[device] == wiped);
  forbid(key_of_two_identities, is_copied_key && key_is_of_another(device, g))
}

proctype Enroll(byte me) {
  byte mine, device, shown, seen;
  bool is_copied_key;

enddoor:
  atomic { enroll_asked == me -> mine = start; enroll_asked++; select_enrollment(device, shown, is_copied_key) };
  {
    /* Step one, 1 and 2. Nothing is written. */
    atomic {
      if
      :: standing[device] == enrolled || standing[device] == quarantined ||
         (needs_token(device) && token_spent) ||
         !root_is_free(device, shown) ||
         (standing[device] == wiped && !right_hardware(device, shown)) -> goto refused
      :: else -> seen = identity[device]
      fi
    };
    /* Step two, 5: everything that step one rested on is read again. */
    transaction {
      if :: identity[device] != seen || (standing[device] != absent && standing[device] != wiped) -> goto refused :: else fi;
      if :: needs_token(device) && token_spent -> goto refused :: else fi;
      if :: !root_is_free(device, shown) -> goto refused :: else fi;
      if :: standing[device] == wiped && !right_hardware(device, shown) -> goto refused :: else fi;
      if :: is_copied_key && key_is_of_another(device, seen + 1) -> goto refused :: else fi;
      forbid(enrolled_over_another, standing[device] == enrolled || standing[device] == quarantined);
      forbid(root_of_trust_in_two_devices, !root_is_free(device, shown));
      forbid(came_back_with_another_root, standing[device] == wiped && !right_hardware(device, shown));
      forbid(token_spent_twice, needs_token(device) && token_spent);
      token_spent = token_spent || needs_token(device);
      standing[device] = enrolled;
      root[device] = shown;
      next_root[device] = 0;
      identity[device]++;
      record_certificate(device, seen + 1, is_copied_key);
      append_entry(me);
      change(me);
      device = 0; shown = 0; seen = 0; is_copied_key = false
    };
    atomic { answer(me) }
  } until_the_hub_ends;
refused:
  atomic { mine = 0; device = 0; shown = 0; seen = 0; is_copied_key = false }
}
