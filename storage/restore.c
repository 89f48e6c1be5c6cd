#include "storage/restore.h"

#include <string.h>

#include "storage/index.h"
#include "storage/outbox.h"
#include "storage/queue.h"
#include "storage/sql.h"

bool lvn_index_job_restore(struct lvn_index *index, const struct lvn_job *job, struct lvn_error *err) {
  const char *state = job->outcome == LVN_OUTCOME_NONE ? "cancelled" : "done";
  return lvn_sql_run(index, err,
                     "INSERT INTO job(job_id, study_uid, input_digest, model_digest, model_name, model_version,"
                     " repetition, job_key, wall_ms, state, outcome, attempt, finished_at, change_count)"
                     " SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,1,?12,-1 WHERE EXISTS (SELECT 1 FROM study WHERE"
                     " study_uid=?2) ON CONFLICT DO NOTHING",
                     "itbbttititti", job->job_id, job->study_uid, job->input_digest, job->model_digest, job->model_name,
                     job->model_version, job->repetition, job->key, job->wall_ms, state,
                     lvn_job_outcome_name(job->outcome), job->finished_ms);
}

bool lvn_index_result_restore(struct lvn_index *index, int64_t job_id, const struct lvn_job_result *result,
                              struct lvn_error *err) {
  return lvn_sql_run(
             index, err,
             "INSERT INTO result(sop_instance_uid, job_id, sop_class_uid, transfer_syntax_uid, path, sha256)"
             " SELECT ?1,?2,?3,?4,?5,?6 WHERE EXISTS (SELECT 1 FROM job WHERE job_id=?2) ON CONFLICT DO NOTHING",
             "titttb", result->sop_instance_uid, job_id, result->sop_class_uid, result->transfer_syntax_uid,
             result->path, result->sha256) &&
         lvn_sql_run(index, err, "UPDATE instance SET is_own=1 WHERE sop_instance_uid=?1", "t",
                     result->sop_instance_uid);
}

bool lvn_index_sent_restore(struct lvn_index *index, const struct lvn_outbox_sent *sent, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "INSERT INTO outbox(job_id, sop_instance_uid, destination, sha256, state, attempt, created_at,"
                     " sent_at, verdict, status) SELECT job_id,?1,?2,?3,'sent',1,?4,?4,'stored',0 FROM result WHERE"
                     " sop_instance_uid=?1 AND job_id=?5 ON CONFLICT(sop_instance_uid, destination) DO UPDATE SET"
                     " sha256=excluded.sha256, sent_at=excluded.sent_at",
                     "ttbii", sent->sop_instance_uid, sent->destination, sent->sha256, sent->sent_ms, sent->job_id) &&
         (!sent->is_committed ||
          lvn_sql_run(
              index, err,
              "UPDATE outbox SET state='committed' WHERE sop_instance_uid=?1 AND destination=?2 AND state='sent'", "tt",
              sent->sop_instance_uid, sent->destination));
}

bool lvn_index_restorable_job(struct lvn_index *index, const char *study_uid, int64_t *ret_job_id,
                              struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  uint8_t input[LVN_SHA256_BYTES];
  size_t count = 0;
  return lvn_index_study_inputs(index, study_uid, &digests, &count, err) &&
         lvn_sha256_of(digests, count * LVN_SHA256_BYTES, input, err) &&
         lvn_sql_integer(index, ret_job_id, 0, err,
                         "SELECT job_id FROM job JOIN study s USING (study_uid) WHERE study_uid=?1 AND input_digest=?2"
                         " AND job.outcome IN ('done','waiting','refused') AND s.state='collecting' AND NOT EXISTS"
                         " (SELECT 1 FROM job later JOIN result USING (job_id) WHERE later.study_uid=?1 AND"
                         " later.job_id>job.job_id) ORDER BY job_id DESC LIMIT 1",
                         "tb", study_uid, input);
}

/* The patient that most of the study's objects name: whom a release goes on with. */
#define MOST_NAMED                                                                                                     \
  "(SELECT patient_key FROM instance i WHERE i.study_uid=?1 AND i.is_current AND NOT i.is_own GROUP BY patient_key"    \
  " ORDER BY count(*) DESC, min(received_at) LIMIT 1)"

bool lvn_index_restore_release(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  uint8_t input[LVN_SHA256_BYTES];
  size_t count = 0;
  int64_t was_released = 0;
  {
    LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
    if (!lvn_sql_prepare(index, &statement, err,
                         "SELECT sha256 FROM instance WHERE study_uid=?1 AND is_current AND NOT is_own AND"
                         " patient_key=" MOST_NAMED " ORDER BY sha256",
                         "t", study_uid) ||
        !lvn_index_collect_digests(index, statement, &digests, &count, err)) {
      return false;
    }
  }
  return lvn_sha256_of(digests, count * LVN_SHA256_BYTES, input, err) &&
         lvn_sql_integer(index, &was_released, 0, err,
                         "SELECT count(*) FROM job WHERE study_uid=?1 AND input_digest=?2 AND outcome<>'' AND"
                         " finished_at>(SELECT max(received_at) FROM instance WHERE study_uid=?1 AND NOT is_own AND"
                         " patient_key<>" MOST_NAMED ")",
                         "tb", study_uid, input) &&
         (was_released == 0 || lvn_index_study_release(index, study_uid, err));
}

static bool queue_results(struct lvn_index *index, const struct lvn_job_finish *finish, struct lvn_error *err) {
  for (size_t i = 0; i < finish->result_count; i++) {
    const struct lvn_job_result *result = &finish->results[i];
    for (size_t k = 0; k < finish->destination_count; k++) {
      if (finish->goes_to != NULL &&
          !finish->goes_to(finish->user_data, finish->destinations[k], result->sop_class_uid)) {
        continue;
      }
      if (!lvn_sql_run(index, err,
                       "INSERT INTO outbox(job_id, sop_instance_uid, destination, sha256, created_at) VALUES"
                       " (?1,?2,?3,?4,?5) ON CONFLICT(sop_instance_uid, destination) DO UPDATE SET state='queued',"
                       " attempt=0, sha256=excluded.sha256 WHERE outbox.sha256<>excluded.sha256",
                       "ittbi", finish->job_id, result->sop_instance_uid, finish->destinations[k], result->sha256,
                       finish->now_ms)) {
        return false;
      }
    }
  }
  return true;
}

/* By the states that a study passes, so that the table of transitions holds here too. */
static bool decide(struct lvn_index *index, const struct lvn_job_finish *finish, const char *study_uid,
                   struct lvn_error *err) {
  bool is_done = finish->outcome == LVN_OUTCOME_DONE;
  bool is_refused = finish->outcome == LVN_OUTCOME_REFUSED;
  return (!is_done ||
          (lvn_sql_run(index, err, "UPDATE study SET state='ready' WHERE study_uid=?1", "t", study_uid) &&
           lvn_sql_run(index, err, "UPDATE study SET state='processing' WHERE study_uid=?1", "t", study_uid))) &&
         lvn_sql_run(index, err,
                     "UPDATE study SET state=?2, status_message=?3, decided_at=?4, latest_job_id=?5,"
                     " looked_change=change_count WHERE study_uid=?1",
                     "tttii", study_uid,
                     is_done      ? "done"
                     : is_refused ? "rejected"
                                  : "collecting",
                     finish->status_message, finish->now_ms, finish->job_id) &&
         lvn_sql_run(index, err,
                     "UPDATE job SET superseded_by=CASE WHEN job_id=?2 THEN 0 ELSE ?2 END, change_count=CASE WHEN"
                     " job_id=?2 THEN (SELECT change_count FROM study WHERE study_uid=?1) ELSE change_count END"
                     " WHERE study_uid=?1",
                     "ti", study_uid, finish->job_id);
}

bool lvn_index_study_restore(struct lvn_index *index, const struct lvn_job_finish *finish, struct lvn_error *err) {
  struct lvn_job job;
  return lvn_queue_get(index, finish->job_id, &job, err) && decide(index, finish, job.study_uid, err) &&
         queue_results(index, finish, err);
}
