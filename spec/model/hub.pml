/* What every scenario shares: a store, what a hub has in memory, and its log
   (spec/audit-log.md; docs/design/audit-in-the-transaction.md; hub/src/store/database.ts, hub/src/audit/log.ts). */

/* Database.write: one transaction at a time, durable before anybody hears of it. A crash leaves all of it or nothing. */
#define transaction atomic

/* A property that must never be broken. The checker names it in its error, and tests/protocol-model.test.ts knows it by this name. */
#define forbid(property, broken) property = (broken); assert(!property)

mtype:standing = { absent, enrolled, quarantined, wiped };

/* Sets of acts: of what somebody asks for. */
#define in(set, act) ((set >> (act)) & 1)
#define insert(set, act) set = set | (1 << (act))

/* The store. */
mtype:standing standing[DEVICES];
byte done;               /* acts whose change is in the store */
byte rows;               /* acts that have their entry, a row of the store */
byte checkpointed;             /* acts whose entry is under a durable checkpoint */

/* Memory. */
bool is_open[CONNECTIONS];
bool is_bound[CONNECTIONS];
byte covered;            /* acts whose entry those who wait for it see covered (AuditLog.integrated) */
byte start = 1;          /* which start of the hub this is */

/* Outside. */
byte answered;           /* acts whose answer has left the hub */

#define cut_off(device) (standing[device] == quarantined || standing[device] == wiped)

bool answered_without_its_entry, answered_and_lost, change_without_its_entry, entry_twice, signed_without_its_row;

/* Inside a transaction: a change, and appendEntry with the same transaction. */
inline change(act) { insert(done, act) }
inline append_entry(act) {
  forbid(entry_twice, in(rows, act));
  insert(rows, act)
}

inline answer(act) {
  forbid(answered_without_its_entry, !in(rows, act));
  insert(answered, act)
}

/* A request ends with its hub: a start that is over answers nobody. */
#define until_the_hub_ends unless { start != mine }

/* Connections.cut: every connection of the device is closed; what is under way on it no longer counts as bound. */
inline cut_connections() {
  atomic {
    for (i : 0 .. CONNECTIONS - 1) { is_bound[i] = false; is_open[i] = false }
    i = 0
  }
}
