/* A crash. Included last: a scenario says in `forget` what else its memory holds. */

/* The end of the process at any moment, and its next start: memory is new, and the log is completed from the store. */
proctype Crash() {
  byte left = CRASHES, i;
end:
  do
  :: atomic { left > 0 ->
       left--; start++;
       cut_connections();
       covered = checkpointed;
       forget();
       /* What every start finds. */
       forbid(signed_without_its_row, (checkpointed & ~rows) != 0);
       forbid(answered_and_lost, (answered & ~done) != 0);
       forbid(change_without_its_entry, done != rows)
     }
  od
}
