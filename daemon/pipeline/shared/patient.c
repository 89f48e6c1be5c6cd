#include "daemon/pipeline/shared/patient.h"

#include "base/file.h"
#include "base/memory.h"
#include "dicom/scan/scan.h"

void lvn_patient_find(const struct lvn_config *config, struct lvn_index *index, const struct lvn_objects *objects,
                      const char *study_uid, char ret_patient_id[LVN_UID_BYTES]) {
  struct lvn_error ignored;
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  ret_patient_id[0] = '\0';
  if (!lvn_config_has_audit(config) || !lvn_index_study_inputs(index, study_uid, &digests, &count, &ignored)) {
    return;
  }
  for (size_t i = 0; i < count && ret_patient_id[0] == '\0'; i++) {
    char path[LVN_PATH_BYTES];
    struct lvn_scan scan;
    if (lvn_objects_path(objects, digests + i * LVN_SHA256_BYTES, path, &ignored) &&
        lvn_scan_file(path, &scan, &ignored)) {
      (void)lvn_copy(ret_patient_id, LVN_UID_BYTES, scan.patient_id);
    }
  }
}
