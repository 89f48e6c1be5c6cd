#include "daemon/pipeline/shared/describe.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "dicom/scan/scan.h"

static enum lvn_index_role role_of(const char *sop_class_uid) {
  static const struct {
    const char *uid;
    enum lvn_index_role role;
  } roles[] = {
      {"1.2.840.10008.5.1.4.1.1.2", LVN_INDEX_ROLE_CT},      /* CT */
      {"1.2.840.10008.5.1.4.1.1.2.1", LVN_INDEX_ROLE_CT},    /* Enhanced CT */
      {"1.2.840.10008.5.1.4.1.1.2.2", LVN_INDEX_ROLE_CT},    /* Legacy Converted Enhanced CT */
      {"1.2.840.10008.5.1.4.1.1.481.3", LVN_INDEX_ROLE_ROI}, /* RT Structure Set */
      {"1.2.840.10008.5.1.4.1.1.66.4", LVN_INDEX_ROLE_ROI},  /* Segmentation */
      {"1.2.840.10008.5.1.4.1.1.66.7", LVN_INDEX_ROLE_ROI},  /* Label Map Segmentation */
      {"1.2.840.10008.5.1.4.1.1.88.22", LVN_INDEX_ROLE_ROI}, /* Enhanced SR */
      {"1.2.840.10008.5.1.4.1.1.88.33", LVN_INDEX_ROLE_ROI}, /* Comprehensive SR */
      {"1.2.840.10008.5.1.4.1.1.88.34", LVN_INDEX_ROLE_ROI}, /* Comprehensive 3D SR */
      {"1.2.840.10008.5.1.4.1.1.11.1", LVN_INDEX_ROLE_ROI},  /* Grayscale Softcopy Presentation State */
  };
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (strcmp(roles[i].uid, sop_class_uid) == 0) {
      return roles[i].role;
    }
  }
  return LVN_INDEX_ROLE_OTHER;
}

/* The record beside an object does not say again what the object says. */
static bool complete_record(const char *path, const struct lvn_scan *scan, struct lvn_reception_record *record,
                            struct lvn_error *err) {
  struct stat status;
  if (stat(path, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot look at '%s'", path);
  }
  record->byte_count = (uint64_t)status.st_size;
  (void)lvn_copy(record->sop_class_uid, LVN_UID_BYTES, scan->sop_class_uid);
  (void)lvn_copy(record->sop_instance_uid, LVN_UID_BYTES, scan->sop_instance_uid);
  (void)lvn_copy(record->transfer_syntax_uid, LVN_UID_BYTES, scan->transfer_syntax_uid);
  (void)lvn_copy(record->study_instance_uid, LVN_UID_BYTES, scan->study_instance_uid);
  (void)lvn_copy(record->series_instance_uid, LVN_UID_BYTES, scan->series_instance_uid);
  return true;
}

bool lvn_describe_object(const char *path, const struct lvn_reception_record *record,
                         struct lvn_index_object *ret_object, char ret_patient_id[LVN_UID_BYTES],
                         char ret_issuer[LVN_UID_BYTES], struct lvn_error *err) {
  struct lvn_scan scan;
  if (!lvn_scan_file(path, &scan, err)) {
    return false;
  }
  *ret_object = (struct lvn_index_object){.record = *record, .role = role_of(scan.sop_class_uid)};
  if (record->sop_instance_uid[0] == '\0' && !complete_record(path, &scan, &ret_object->record, err)) {
    return false;
  }
  (void)lvn_copy(ret_object->modality, sizeof ret_object->modality, scan.modality);
  (void)lvn_copy(ret_patient_id, LVN_UID_BYTES, scan.patient_id);
  (void)lvn_copy(ret_issuer, LVN_UID_BYTES, scan.issuer_of_patient_id);
  ret_object->patient_id = ret_patient_id;
  ret_object->issuer_of_patient_id = ret_issuer;
  return true;
}
