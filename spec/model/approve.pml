/* What takes two people. spec/operator-access.md, "How"; docs/design/two-people.md.
   hub/src/doors/operator/two-people.ts, hub/src/people/approvals.ts, hub/src/doors/operator/door.ts. */

mtype:kept = { nothing, waiting, approved };

typedef Request {
  mtype:kept kept;
  byte token;        /* of the person who asked */
  bit content;       /* what is asked for; its digest */
  byte carried_out;  /* how often */
};

/* The store. Tokens 0 and 1 are Ada's, 2 is Ben's. */
#define TOKENS 3
#define person_of(t) ((t) == 2)
Request request[REQUESTS];
bool ended[TOKENS];

bool act_by_one_person, act_twice, act_other_than_read, act_by_an_ended_token, act_without_an_approval_in_the_log;

inline select_token(t) { if :: t = 0 :: t = 1 :: t = 2 fi }

/* A root operation is asked for: it is kept. */
proctype Ask(byte me; byte r) {
  byte mine, token;
  bit content;

  atomic {
    select_token(token);
    if :: content = 0 :: content = 1 fi;
    if :: ended[token] -> goto refused :: else -> mine = start fi
  };
  {
    transaction {
      if :: ended[token] -> goto refused :: else fi;
      request[r].kept = waiting;
      request[r].token = token;
      request[r].content = content;
      append_entry(me);
      change(me)
    };
    atomic { answer(me) }
  } until_the_hub_ends;
refused:
  atomic { mine = 0; token = 0; content = 0 }
}

/* Somebody approves what they have read, by its digest, and the hub carries it out. Two acts: the approval, and the operation. */
proctype Approve(byte approval; byte operation) {
  byte mine, token, r;
  bit read;

enddoor:
  atomic {
    request[0].kept != nothing || request[REQUESTS - 1].kept != nothing;
    select_token(token);
    if :: read = 0 :: read = 1 fi;
    if :: r = 0 :: r = REQUESTS - 1 fi;
    if :: ended[token] || request[r].kept == nothing -> goto refused :: else -> mine = start fi
  };
  {
    /* The approval is spent first. */
    transaction {
      if :: ended[token] -> goto refused :: else fi;
      if :: request[r].kept != waiting -> goto refused :: else fi;
      if :: person_of(token) == person_of(request[r].token) -> goto refused :: else fi;
      if :: read != request[r].content -> goto refused :: else fi;
      if :: ended[request[r].token] -> goto refused :: else fi;
      request[r].kept = approved;
      append_entry(approval);
      change(approval)
    };
    /* The kept request comes through the door, on the authority of both. */
    if :: ended[token] || ended[request[r].token] -> goto refused :: else fi;
    transaction {
      if :: ended[token] || ended[request[r].token] -> goto refused :: else fi;
      request[r].carried_out++;
      append_entry(operation);
      change(operation);
      forbid(act_by_one_person, person_of(token) == person_of(request[r].token));
      forbid(act_twice, request[r].carried_out > 1);
      forbid(act_other_than_read, read != request[r].content);
      forbid(act_by_an_ended_token, ended[token] || ended[request[r].token]);
      forbid(act_without_an_approval_in_the_log, !in(rows, approval))
    };
    atomic { answer(operation) }
  } until_the_hub_ends;
refused:
  atomic { mine = 0; token = 0; read = 0; r = 0 }
}
