#include <stdint.h>
#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

static void read_event(sqlite3_stmt *statement, struct lvn_index_event *event) {
  event->event_id = sqlite3_column_int64(statement, 0);
  event->at_ms = sqlite3_column_int64(statement, 1);
  lvn_sql_copy_text(statement, 2, event->entity, sizeof event->entity);
  lvn_sql_copy_text(statement, 3, event->entity_id, sizeof event->entity_id);
  lvn_sql_copy_text(statement, 4, event->from_state, sizeof event->from_state);
  lvn_sql_copy_text(statement, 5, event->to_state, sizeof event->to_state);
}

bool lvn_index_list_events(struct lvn_index *index, int64_t after_id, size_t limit, struct lvn_index_event **ret_events,
                           size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE struct lvn_index_event *events = lvn_alloc(limit, sizeof *events, err);
  size_t count = 0;
  bool row = true;
  if (events == NULL ||
      !lvn_sql_prepare(index, &statement, err,
                       "SELECT event_id, at, entity, entity_id, from_state, to_state FROM event WHERE event_id>?1"
                       " ORDER BY event_id LIMIT ?2",
                       "ii", after_id, (int64_t)limit)) {
    return false;
  }
  while (count < limit) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    read_event(statement, &events[count++]);
  }
  *ret_events = lvn_steal(&events);
  *ret_count = count;
  return true;
}

bool lvn_index_last_event_id(struct lvn_index *index, int64_t *ret_event_id, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_event_id, 0, err, "SELECT max(event_id) FROM event", "");
}

bool lvn_index_prune_events(struct lvn_index *index, int64_t before_ms, struct lvn_error *err) {
  return lvn_sql_run(index, err, "DELETE FROM event WHERE at<?1", "i", before_ms);
}

int64_t lvn_index_get_change_count(const struct lvn_index *index) {
  return sqlite3_total_changes64(index->db);
}

bool lvn_index_count(struct lvn_index *index, struct lvn_index_counts *ret_counts, struct lvn_error *err) {
  struct lvn_index_counts counts = {0};
  for (int state = LVN_STUDY_ANY + 1; state < LVN_STUDY_STATES; state++) {
    if (!lvn_sql_integer(index, &counts.studies[state], 0, err, "SELECT count(*) FROM study WHERE state=?1", "t",
                         lvn_study_state_name((enum lvn_study_state)state))) {
      return false;
    }
  }
  if (!lvn_sql_integer(index, &counts.objects, 0, err, "SELECT count(*) FROM instance", "")) {
    return false;
  }
  *ret_counts = counts;
  return true;
}

static bool shift(struct lvn_index *index, const struct lvn_index_waits *waits, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE study SET settle_at=min(settle_at+?1,?2) WHERE state='collecting' AND"
                     " change_count<>looked_change AND settle_at>0",
                     "ii", waits->shift_ms, waits->now_ms + waits->settle_max_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE job SET not_before=min(not_before+?1,?2) WHERE state='queued' AND not_before>0", "ii",
                     waits->shift_ms, waits->now_ms + waits->job_max_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET not_before=min(not_before+?1,?2) WHERE state='queued' AND not_before>0", "ii",
                     waits->shift_ms, waits->now_ms + waits->send_max_ms) &&
         lvn_sql_run(
             index, err,
             "UPDATE outbox SET commitment_at=max(commitment_at+?1,0), wanted_at=wanted_at+?1 WHERE state='sent'", "i",
             waits->shift_ms) &&
         lvn_sql_run(index, err, "UPDATE commitment SET deadline=deadline+?1", "i", waits->shift_ms) &&
         lvn_sql_run(index, err, "UPDATE fetch SET not_before=not_before+?1 WHERE not_before>0", "i", waits->shift_ms);
}

bool lvn_index_shift_waits(struct lvn_index *index, const struct lvn_index_waits *waits, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, shift(index, waits, err), err);
}
