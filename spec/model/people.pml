/* Scenario: two people with three tokens ask for root operations and approve them, and tokens end. */
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef APPROVALS
#define APPROVALS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define DEVICES 1
#define CONNECTIONS 1

#include "hub.pml"

inline forget() { skip }

#include "approve.pml"
#include "crash.pml"

/* Somebody ends a token, which takes one person. */
active proctype EndToken() {
  byte token;
  atomic { select_token(token); ended[token] = true; token = 0 }
}

init {
  byte i;
  atomic {
    for (i : 0 .. REQUESTS - 1) { request[i].kept = nothing };
    for (i : 0 .. REQUESTS - 1) { run Ask(i, i) };
    for (i : 0 .. APPROVALS - 1) { run Approve(REQUESTS + 2 * i, REQUESTS + 2 * i + 1) };
    run Crash();
    i = 0
  }
}
