#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

#define TWO_PATIENTS "its objects name two different patients; an operator has to release it"

static const char *role_text(enum lvn_index_role role) {
  switch (role) {
  case LVN_INDEX_ROLE_CT:
    return "ct";
  case LVN_INDEX_ROLE_ROI:
    return "roi";
  case LVN_INDEX_ROLE_OTHER:
    break;
  }
  return "other";
}

bool lvn_index_has_object(struct lvn_index *index, const uint8_t sha256[LVN_SHA256_BYTES], bool *ret_known,
                          bool *ret_current, struct lvn_error *err) {
  int64_t current = -1;
  if (!lvn_sql_integer(index, &current, -1, err, "SELECT max(is_current) FROM instance WHERE sha256=?1", "b", sha256)) {
    return false;
  }
  *ret_known = current >= 0;
  *ret_current = current == 1;
  return true;
}

/* What the study's row says before the object comes. */
struct study_row {
  char name[LVN_INDEX_STUDY_NAME_BYTES];
  char patient_key[LVN_SHA256_TEXT_BYTES];
  char issuer_key[LVN_SHA256_TEXT_BYTES];
  enum lvn_study_state state;
  bool is_locked;
  bool exists;
};

static bool load_study(struct lvn_index *index, const char *study_uid, struct study_row *ret_row,
                       struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT name, patient_key, issuer_key, state, is_locked FROM study WHERE study_uid=?1", "t",
                       study_uid) ||
      !lvn_sql_step(index, statement, &ret_row->exists, err)) {
    return false;
  }
  if (ret_row->exists) {
    lvn_sql_copy_text(statement, 0, ret_row->name, sizeof ret_row->name);
    lvn_sql_copy_text(statement, 1, ret_row->patient_key, sizeof ret_row->patient_key);
    lvn_sql_copy_text(statement, 2, ret_row->issuer_key, sizeof ret_row->issuer_key);
    ret_row->is_locked = sqlite3_column_int(statement, 4) != 0;
  }
  return !ret_row->exists || lvn_sql_get_name(statement, 3, lvn_study_state_parse, &ret_row->state, err);
}

static bool ensure_study(struct lvn_index *index, const struct lvn_index_object *object, int64_t settle_at_ms,
                         const char *patient_key, const char *issuer_key, struct study_row *row,
                         struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  if (!load_study(index, record->study_instance_uid, row, err)) {
    return false;
  }
  if (row->exists) {
    return true;
  }
  return lvn_index_study_name(index, record->study_instance_uid, row->name, err) &&
         lvn_sql_run(index, err,
                     "INSERT INTO study(study_uid, name, patient_key, issuer_key, settle_at, first_received_at,"
                     " last_received_at, source_aet, source_address) VALUES (?1,?2,?3,?4,?5,?6,?6,?7,?8)",
                     "ttttiitt", record->study_instance_uid, row->name, patient_key, issuer_key, settle_at_ms,
                     record->received_ms, record->calling_aet, record->address) &&
         load_study(index, record->study_instance_uid, row, err);
}

/* The patient an object names, as a key to compare. Objects of one patient may lack the issuer (workstations drop it):
 * only two issuers that are both given and differ make the same ID another patient. */
static bool make_patient_key(struct lvn_index *index, const struct lvn_index_object *object,
                             char ret_key[LVN_SHA256_TEXT_BYTES], char ret_issuer[LVN_SHA256_TEXT_BYTES],
                             struct lvn_error *err) {
  struct study_row row = {0};
  if (!lvn_index_keyed_text(index, object->patient_id, ret_key, err) ||
      !lvn_index_keyed_text(index, object->issuer_of_patient_id, ret_issuer, err) ||
      !load_study(index, object->record.study_instance_uid, &row, err)) {
    return false;
  }
  if (row.exists && row.issuer_key[0] != '\0' && ret_issuer[0] != '\0' && strcmp(row.issuer_key, ret_issuer) != 0) {
    LVN_AUTOFREE char *both = lvn_format(err, "%s\x1f%s", object->patient_id, object->issuer_of_patient_id);
    return both != NULL && lvn_index_keyed_text(index, both, ret_key, err);
  }
  return true;
}

/* Makes room for the object of `record` as the current one of its UID, unless a newer one is there. The newest
 * reception is current, by its number; what was received before there were numbers by its time and then its digest, so
 * that a rebuild decides the same. */
static bool displace(struct lvn_index *index, const struct lvn_reception_record *record,
                     struct lvn_index_addition *addition, bool *ret_is_newest, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT sha256, (sequence, received_at, sha256) > (?3, ?4, ?5) FROM instance WHERE study_uid=?1"
                       " AND sop_instance_uid=?2 AND is_current",
                       "ttiib", record->study_instance_uid, record->sop_instance_uid, record->sequence,
                       record->received_ms, record->sha256) ||
      !lvn_sql_step(index, statement, &addition->has_superseded, err)) {
    return false;
  }
  *ret_is_newest = true;
  if (!addition->has_superseded) {
    return true;
  }
  *ret_is_newest = sqlite3_column_int(statement, 1) == 0;
  addition->replaces = *ret_is_newest;
  memcpy(addition->superseded_sha256, record->sha256, LVN_SHA256_BYTES);
  if (!*ret_is_newest) {
    return true;
  }
  lvn_sql_copy_digest(statement, 0, addition->superseded_sha256);
  return lvn_sql_run(index, err,
                     "UPDATE instance SET is_current=0 WHERE study_uid=?1 AND sop_instance_uid=?2 AND is_current", "tt",
                     record->study_instance_uid, record->sop_instance_uid);
}

static bool insert_instance(struct lvn_index *index, const struct lvn_index_object *object, const char *patient_key,
                            bool is_own, struct lvn_index_addition *addition, struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  const char *role = role_text(object->role);
  bool is_newest = false;
  if (!displace(index, record, addition, &is_newest, err)) {
    return false;
  }
  return lvn_sql_run(index, err,
                     "INSERT INTO instance(sop_instance_uid, sha256, study_uid, series_uid, sop_class_uid,"
                     " transfer_syntax_uid, role, patient_key, byte_count, calling_aet, address, association_id,"
                     " received_at, is_current, is_own, sequence) VALUES"
                     " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
                     "tbttttttitttiiii", record->sop_instance_uid, record->sha256, record->study_instance_uid,
                     record->series_instance_uid, record->sop_class_uid, record->transfer_syntax_uid, role, patient_key,
                     (int64_t)record->byte_count, record->calling_aet, record->address, record->association_id,
                     record->received_ms, (int64_t)is_newest, (int64_t)is_own, record->sequence) &&
         lvn_sql_run(index, err,
                     "INSERT INTO series(series_uid, study_uid, modality, role) VALUES (?1,?2,?3,?4)"
                     " ON CONFLICT DO NOTHING",
                     "tttt", record->series_instance_uid, record->study_instance_uid, object->modality, role);
}

static bool cancel_queued_jobs(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE job SET state='cancelled' WHERE study_uid=?1 AND state='queued'", "t",
                     study_uid);
}

static bool reject_for_patient(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return cancel_queued_jobs(index, study_uid, err) &&
         lvn_sql_run(index, err,
                     "UPDATE study SET state='rejected', is_locked=1, status_message='" TWO_PATIENTS "',"
                     " change_count=change_count+1 WHERE study_uid=?1",
                     "t", study_uid);
}

/* An object changed the inputs of the study: whatever was decided is decided again. A job that runs is left to finish;
 * its results will be stale. */
static bool touch_study(struct lvn_index *index, const struct lvn_index_object *object, const struct study_row *row,
                        int64_t settle_at_ms, struct lvn_index_addition *addition, struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  bool is_decided = row->state == LVN_STUDY_DONE || row->state == LVN_STUDY_FAILED ||
                    row->state == LVN_STUDY_PROCESSING || (row->state == LVN_STUDY_REJECTED && !row->is_locked);
  bool is_ready = row->state == LVN_STUDY_READY;
  bool collects = is_ready || (is_decided && row->state != LVN_STUDY_PROCESSING);
  addition->reopened = is_decided;
  if (is_ready && !cancel_queued_jobs(index, record->study_instance_uid, err)) {
    return false;
  }
  return lvn_sql_run(index, err,
                     "UPDATE study SET change_count=change_count+1, revision=revision+?2, settle_at=max(settle_at,?3),"
                     " last_received_at=max(last_received_at,?4) WHERE study_uid=?1",
                     "tiii", record->study_instance_uid, (int64_t)(is_decided || addition->replaces), settle_at_ms,
                     record->received_ms) &&
         (object->role != LVN_INDEX_ROLE_CT ||
          lvn_sql_run(index, err,
                      "UPDATE study SET source_aet=?2, source_address=?3, source_is_ct=1 WHERE study_uid=?1", "ttt",
                      record->study_instance_uid, record->calling_aet, record->address)) &&
         (!collects ||
          lvn_sql_run(index, err, "UPDATE study SET state='collecting', status_message='' WHERE study_uid=?1", "t",
                      record->study_instance_uid));
}

/* Known bytes, received once more. They are current again where another version had taken their place in between. */
static bool place_again(struct lvn_index *index, const struct lvn_index_object *object, int64_t settle_at_ms,
                        struct lvn_index_addition *addition, struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  struct study_row row = {0};
  int64_t is_own = 0;
  int64_t is_current = 0;
  int64_t sequence = 0;
  bool is_newest = true;
  if (!lvn_sql_integer(index, &is_current, 0, err,
                       "SELECT is_current FROM instance WHERE sop_instance_uid=?1 AND sha256=?2", "tb",
                       record->sop_instance_uid, record->sha256) ||
      !lvn_sql_integer(index, &is_own, 0, err, "SELECT is_own FROM instance WHERE sop_instance_uid=?1 AND sha256=?2",
                       "tb", record->sop_instance_uid, record->sha256) ||
      !lvn_sql_integer(index, &sequence, 0, err,
                       "SELECT sequence FROM instance WHERE sop_instance_uid=?1 AND sha256=?2", "tb",
                       record->sop_instance_uid, record->sha256) ||
      (is_current == 0 && !displace(index, record, addition, &is_newest, err)) ||
      !lvn_sql_run(index, err,
                   "UPDATE instance SET is_current=?3, received_at=CASE WHEN ?8>sequence THEN ?4 ELSE"
                   " max(received_at,?4) END, sequence=max(sequence,?8), calling_aet=?5, address=?6, association_id=?7"
                   " WHERE sop_instance_uid=?1 AND sha256=?2",
                   "tbiittti", record->sop_instance_uid, record->sha256, (int64_t)is_newest, record->received_ms,
                   record->calling_aet, record->address, record->association_id, record->sequence) ||
      /* What was just acknowledged is not kept for a shorter time than what comes first. */
      !lvn_sql_run(index, err, "UPDATE study SET last_received_at=max(last_received_at,?2) WHERE study_uid=?1", "ti",
                   record->study_instance_uid, record->received_ms)) {
    return false;
  }
  addition->is_own = is_own != 0;
  addition->is_repeated = record->sequence <= sequence;
  if (!addition->replaces || addition->is_own || object->role == LVN_INDEX_ROLE_OTHER) {
    return true;
  }
  return load_study(index, record->study_instance_uid, &row, err) &&
         touch_study(index, object, &row, settle_at_ms, addition, err);
}

static bool place(struct lvn_index *index, const struct lvn_index_object *object, int64_t settle_at_ms,
                  struct lvn_index_addition *addition, struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  const char *study_uid = record->study_instance_uid;
  char patient_key[LVN_SHA256_TEXT_BYTES];
  char issuer_key[LVN_SHA256_TEXT_BYTES];
  struct study_row row = {0};
  int64_t same = 0;
  int64_t own = 0;
  int64_t known_patient = 0;
  if (!lvn_sql_integer(index, &same, 0, err, "SELECT count(*) FROM instance WHERE sop_instance_uid=?1 AND sha256=?2",
                       "tb", record->sop_instance_uid, record->sha256)) {
    return false;
  }
  if (same != 0) {
    return place_again(index, object, settle_at_ms, addition, err);
  }
  addition->is_new = true;
  if (!make_patient_key(index, object, patient_key, issuer_key, err) ||
      !ensure_study(index, object, settle_at_ms, patient_key, issuer_key, &row, err) ||
      !lvn_sql_integer(index, &own, 0, err, "SELECT count(*) FROM result WHERE sop_instance_uid=?1", "t",
                       record->sop_instance_uid) ||
      !lvn_sql_integer(index, &known_patient, 0, err,
                       "SELECT count(*) FROM (SELECT 1 FROM instance WHERE study_uid=?1 AND patient_key=?2 LIMIT 1)",
                       "tt", study_uid, patient_key) ||
      !insert_instance(index, object, patient_key, own != 0, addition, err)) {
    return false;
  }
  addition->is_own = own != 0;
  if (addition->is_own) {
    return true;
  }
  if (strcmp(row.patient_key, patient_key) != 0) {
    addition->patient_conflict = known_patient == 0;
    return !addition->patient_conflict || reject_for_patient(index, study_uid, err);
  }
  if (object->role == LVN_INDEX_ROLE_OTHER) { /* kept, and no reason to look at the study once more */
    return lvn_sql_run(index, err, "UPDATE study SET last_received_at=max(last_received_at,?2) WHERE study_uid=?1",
                       "ti", study_uid, record->received_ms);
  }
  return (issuer_key[0] == '\0' || row.issuer_key[0] != '\0' ||
          lvn_sql_run(index, err, "UPDATE study SET issuer_key=?2 WHERE study_uid=?1", "tt", study_uid, issuer_key)) &&
         touch_study(index, object, &row, settle_at_ms, addition, err);
}

bool lvn_index_last_sequence(struct lvn_index *index, int64_t *ret_sequence, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_sequence, 0, err, "SELECT max(sequence) FROM instance", "");
}

bool lvn_index_add(struct lvn_index *index, const struct lvn_index_object *object, int64_t settle_at_ms,
                   struct lvn_index_addition *ret_addition, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  struct lvn_index_addition addition = {0};
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = place(index, object, settle_at_ms, &addition, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_addition = addition;
  return true;
}
