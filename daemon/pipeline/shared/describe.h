/* What the index needs to know of a stored object. */
#ifndef LVN_DAEMON_PIPELINE_DESCRIBE_H
#define LVN_DAEMON_PIPELINE_DESCRIBE_H

#include "storage/index.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_object points to the two texts. */
LVN_MUST_CHECK bool lvn_describe_object(const char *path, const struct lvn_reception_record *record,
                                        struct lvn_index_object *ret_object, char ret_patient_id[LVN_UID_BYTES],
                                        char ret_issuer[LVN_UID_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
