#include <stdint.h>
#include <string.h>

#include "storage/index_internal.h"

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

bool lvn_index_count(struct lvn_index *index, struct lvn_index_counts *ret_counts, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  struct lvn_index_counts counts = {0};
  bool row = true;
  /* The states come from the transition table, so that a state without rows is shown as 0. */
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT entity, state, CASE entity"
                       " WHEN 'study' THEN (SELECT count(*) FROM study WHERE study.state=t.state)"
                       " WHEN 'job' THEN (SELECT count(*) FROM job WHERE job.state=t.state)"
                       " ELSE (SELECT count(*) FROM outbound WHERE outbound.state=t.state) END FROM"
                       " (SELECT entity, from_state AS state FROM transition UNION"
                       "  SELECT entity, to_state FROM transition) t ORDER BY entity, state",
                       "")) {
    return false;
  }
  while (counts.count < sizeof counts.items / sizeof counts.items[0]) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    struct lvn_index_state_count *item = &counts.items[counts.count++];
    lvn_sql_copy_text(statement, 0, item->entity, sizeof item->entity);
    lvn_sql_copy_text(statement, 1, item->state, sizeof item->state);
    item->count = sqlite3_column_int64(statement, 2);
  }
  if (!lvn_sql_integer(index, &counts.objects, 0, err, "SELECT count(*) FROM instance", "") ||
      !lvn_sql_integer(index, &counts.oldest_outbound_ms, 0, err,
                       "SELECT min(created_at) FROM outbound WHERE state IN ('queued','sending')", "") ||
      !lvn_sql_integer(index, &counts.last_success_ms, 0, err, "SELECT max(sent_at) FROM outbound", "")) {
    return false;
  }
  *ret_counts = counts;
  return true;
}

bool lvn_index_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err,
                         "SELECT min(due) FROM ("
                         "SELECT min(not_before) AS due FROM job WHERE state='queued' AND not_before>?1 UNION ALL "
                         "SELECT min(not_before) FROM outbound WHERE state='queued' AND not_before>?1)",
                         "i", now_ms);
}

bool lvn_index_list_destinations(struct lvn_index *index, int64_t now_ms, char (*ret_names)[64], size_t max_count,
                                 size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  *ret_count = 0;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT DISTINCT destination FROM outbound WHERE state='queued' AND not_before<=?1"
                       " ORDER BY destination LIMIT ?2",
                       "ii", now_ms, (int64_t)max_count)) {
    return false;
  }
  while (*ret_count < max_count) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    lvn_sql_copy_text(statement, 0, ret_names[*ret_count], sizeof ret_names[0]);
    (*ret_count)++;
  }
  return true;
}
