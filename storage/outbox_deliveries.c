/* How the results of jobs stand with their destinations, for those who are told of it. */
#include "base/memory.h"
#include "storage/outbox.h"
#include "storage/sql.h"

#define OF_THE_SAME "FROM outbox p WHERE p.job_id=o.job_id AND p.destination=o.destination AND p.kind='object'"

static void read_delivery(sqlite3_stmt *statement, struct lvn_outbox_delivery *delivery) {
  delivery->event_id = sqlite3_column_int64(statement, 0);
  delivery->job_id = sqlite3_column_int64(statement, 1);
  lvn_sql_copy_text(statement, 2, delivery->study_uid, sizeof delivery->study_uid);
  lvn_sql_copy_text(statement, 3, delivery->study_name, sizeof delivery->study_name);
  lvn_sql_copy_text(statement, 4, delivery->destination, sizeof delivery->destination);
  delivery->delivered = sqlite3_column_int64(statement, 5);
  delivery->failed = sqlite3_column_int64(statement, 6);
  delivery->pending = sqlite3_column_int64(statement, 7);
  lvn_sql_copy_text(statement, 8, delivery->status_message, sizeof delivery->status_message);
}

bool lvn_outbox_list_deliveries(struct lvn_index *index, int64_t after_id, int64_t last_id, size_t limit,
                                struct lvn_outbox_delivery **ret_deliveries, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE struct lvn_outbox_delivery *deliveries = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool row = true;
  if (!lvn_sql_prepare(
          index, &statement, err,
          "SELECT max(e.event_id), o.job_id, j.study_uid, s.name, o.destination,"
          " (SELECT count(*) " OF_THE_SAME " AND p.state IN " LVN_OUTBOX_DELIVERED "),"
          " (SELECT count(*) " OF_THE_SAME " AND p.state='failed'),"
          " (SELECT count(*) " OF_THE_SAME " AND p.state IN ('queued','sending')),"
          " coalesce((SELECT p.status_message " OF_THE_SAME " AND p.state='failed' LIMIT 1), '')"
          " FROM event e JOIN outbox o ON o.outbox_id=CAST(e.entity_id AS INTEGER) JOIN job j ON j.job_id=o.job_id"
          " JOIN study s ON s.study_uid=j.study_uid WHERE e.entity='outbound' AND e.to_state IN ('sent','failed')"
          " AND e.event_id>?1 AND e.event_id<=?2 AND o.kind='object' GROUP BY o.job_id, o.destination ORDER BY 1"
          " LIMIT ?3",
          "iii", after_id, last_id, (int64_t)limit)) {
    return false;
  }
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    if (!lvn_grow(&deliveries, &capacity, count, sizeof *deliveries, limit, err)) {
      return false;
    }
    read_delivery(statement, &deliveries[count++]);
  }
  *ret_deliveries = lvn_steal(&deliveries);
  *ret_count = count;
  return true;
}
