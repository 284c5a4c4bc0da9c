/* AuditLog: entries become rows in transactions; this loop puts all of them under a checkpoint. A crash may come between its steps. */
active proctype Log() {
  byte mine;
end:
  do
  :: atomic { covered != rows -> mine = start };
     {
       checkpointed = rows;      /* tiles are durable, then signed, then saved */
       covered = checkpointed    /* published, then those who wait go on */
     } until_the_hub_ends;
     mine = 0
  od
}
