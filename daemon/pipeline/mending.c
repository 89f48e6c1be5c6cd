#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "storage/index_keep.h"

bool lvn_mending_note(struct lvn_pipeline *pipeline, const struct lvn_index_object *object, int64_t settle_at_ms,
                      struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  char name[LVN_INDEX_STUDY_NAME_BYTES] = "";
  char digest[LVN_SHA256_TEXT_BYTES];
  bool is_known = false;
  bool is_current = false;
  int64_t job_id = 0;
  if (!lvn_index_has_object(pipeline->index, record->sha256, &is_known, &is_current, err) ||
      !lvn_index_study_name(pipeline->index, record->study_instance_uid, name, err)) {
    return false;
  }
  lvn_sha256_to_text(record->sha256, digest);
  lvn_log(LVN_LOG_WARNING, "event=object-mended study=%s object=%.12s current=%d action=%s", name, digest, is_current,
          is_current ? "study-looked-at-again" : "none");
  if (!is_current) {
    return true;
  }
  return lvn_index_study_mended(pipeline->index, record->study_instance_uid, settle_at_ms, &job_id, err) &&
         (job_id == 0 || lvn_jobfile_forget(&pipeline->config, job_id, err));
}
