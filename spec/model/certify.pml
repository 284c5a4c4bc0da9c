/* Journeys: renew and recover. spec/api.md, "Renew and recover"; hub/src/enrollment/certify.ts, hub/src/doors/device/recovery.ts.
   Both certify the next key by the same proof; a renewal comes on a bound connection. Of device 0. */

bool certificate_for_another_root, certified_for_a_cut_off_device;

proctype Certify(byte me) {
  byte mine, shown, seen;
  bool is_copied_key, renews;

enddoor:
  atomic { certify_asked + first_certify == me ->
    mine = start; certify_asked++;
    if :: shown = 1 :: shown = 2 fi;
    if :: is_copied_key = true :: skip fi;
    if :: is_open[0] && is_bound[0] -> renews = true :: skip fi
  };
  {
    /* The device as it is registered; evidence of its root of trust, over our nonce and the new key. */
    atomic {
      if :: standing[0] == absent || cut_off(0) || root[0] != shown -> goto refused :: else fi;
      seen = identity[0]
    };
    transaction {
      if :: renews && (!is_bound[0] || !in(certified[0], shown_certificate)) -> goto refused :: else fi;
      if :: standing[0] == wiped || identity[0] != seen -> goto refused :: else fi;
      if :: is_copied_key && key_is_of_another(0, seen) -> goto refused :: else fi;
      if :: cut_off(0) -> goto refused :: else fi;
      record_certificate(0, seen, is_copied_key);
      append_entry(me);
      change(me);
      forbid(certificate_for_another_root, root[0] != shown);
      forbid(certified_for_a_cut_off_device, cut_off(0));
      shown = 0; seen = 0; is_copied_key = false; renews = false
    };
    atomic { answer(me) }
  } until_the_hub_ends;
refused:
  atomic { mine = 0; shown = 0; seen = 0; is_copied_key = false; renews = false }
}
