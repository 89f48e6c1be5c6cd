/* Whose study it is, for the audit alone: the index knows patients by a keyed digest only. */
#ifndef LVN_DAEMON_PIPELINE_SHARED_PATIENT_H
#define LVN_DAEMON_PIPELINE_SHARED_PATIENT_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read from the first object of the study that can be; empty when there is none, or no audit to tell it to. */
void lvn_patient_find(const struct lvn_config *config, struct lvn_index *index, const struct lvn_objects *objects,
                      const char *study_uid, char ret_patient_id[LVN_UID_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
