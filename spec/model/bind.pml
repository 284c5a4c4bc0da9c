/* Journey: bind, and one identity in one place. spec/presence.md, "Concurrent sessions" and "Forks".
   hub/src/access/bind.ts, hub/src/presence/sessions.ts (judgeSession), presence.ts, lineage.ts (recordUse). */

/* A place: a live, bound connection from one origin. */
typedef Place {
  bool live;
  bool heard;            /* used within silentSeconds */
  bool contested;        /* it was used beside another one: there are two */
  bool conflict;         /* somebody else claims the identity */
  bool is_due;           /* the time has passed after which a request here shows that there are two */
  byte newcomer;         /* with a conflict: the place that was let in beside; NOBODY when it was refused */
  byte older;            /* ghost: how many of the live places were there before this one */
};
#define NOBODY PLACES
Place place[PLACES];

byte newest_certificate; /* the party whose certificate is ahead in the lineage */
byte last_bound;         /* the party whose certificate was bound last; NOBODY before the first */
bool held;               /* the rule hold-both disabled the device */

bool alerted;            /* identity-in-two-places, clone or certificate-fork: both addresses are in it */

bool bound_without_the_root_of_trust, let_in_beside_a_live_place, let_in_beside_a_contested_place, first_place_cut, alert_for_an_honest_move,
  bound_while_held;

inline alert() { forbid(alert_for_an_honest_move, !copy_acted); alerted = true }

/* The hub closes a place. */
inline end_place(p) {
  for (i : 0 .. PLACES - 1) {
    if :: i != p && place[i].live && place[i].older > place[p].older -> place[i].older-- :: else fi;
    if :: place[i].newcomer == p -> place[i].newcomer = NOBODY :: else fi
  };
  i = 0;
  place[p].live = false; place[p].heard = false; place[p].contested = false; place[p].conflict = false;
  place[p].is_due = false; place[p].newcomer = NOBODY; place[p].older = 0
}

/* Presence.#meet: the older place learns of it, and keeps the deadline of the first claim. */
inline meet(p, by) {
  place[p].conflict = true;
  place[p].newcomer = by
}

#define is_other(p, q, what) (q != p && place[q].live && place[q].what)
#define some_other(p, what) (is_other(p, 0, what) || is_other(p, 1, what) || is_other(p, 2, what))

/* Connections.use and Presence.contested: a request on a bound connection. */
inline use(p) {
  atomic {
    if
    :: place[p].live ->
       place[p].heard = true;
       if
       :: place[p].conflict && place[p].is_due ->
          place[p].conflict = false; place[p].is_due = false; place[p].contested = true;
          alert();
          if
          :: hold_both ->
             held = true;
             for (k : 0 .. PLACES - 1) { if :: place[k].live -> end_place(k) :: else fi }
             k = 0
          :: else ->
             if
             :: place[p].newcomer != NOBODY ->
                k = place[p].newcomer;
                forbid(first_place_cut, place[k].older <= place[p].older);
                end_place(k);
                k = 0
             :: else
             fi
          fi
       :: else
       fi
    :: else
    fi
  }
}

inline bind(p, party) {
  atomic {
    if
    :: held -> skip
    :: !held && place[p].live -> use(p)   /* Once more on one connection: a use, and what is known of the place stays. */
    :: else ->
       if
       :: !over_this_connection(party) -> alert()   /* clone: evidence of the device's own root of trust, over another connection */
       :: else ->
          forbid(bound_without_the_root_of_trust, !has_root_of_trust(party));
          if
          :: some_other(p, contested) || (copyable && some_other(p, heard)) ->
             /* Taken. */
             for (i : 0 .. PLACES - 1) { if :: i != p && place[i].live -> meet(i, NOBODY) :: else fi }
             i = 0
          :: else ->
             forbid(let_in_beside_a_live_place, copyable && some_other(p, heard));
             forbid(let_in_beside_a_contested_place, some_other(p, contested));
             forbid(bound_while_held, held);
             if
             :: copyable ->
                /* Replaced: all others were silent. */
                for (k : 0 .. PLACES - 1) {
                  if :: k != p && place[k].live -> forbid(first_place_cut, place[k].heard); end_place(k) :: else fi
                }
                k = 0
             :: else ->
                /* Moved. */
                for (i : 0 .. PLACES - 1) { if :: i != p && place[i].live -> meet(i, p) :: else fi }
                i = 0
             fi;
             place[p].older = place[0].live + place[1].live + place[2].live;
             place[p].live = true;
             place[p].heard = true;
             /* Forks. */
             if
             :: last_bound != NOBODY && last_bound != party && newest_certificate == last_bound -> alert()
             :: else -> last_bound = party
             fi
          fi
       fi
    fi
  }
}
