/* Looking for what must never be: states that nothing ends, two current reports, rows that a rebuild would not make. */
#ifndef LVN_STORAGE_VERIFY_H
#define LVN_STORAGE_VERIFY_H

#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens an index file only to look at it: nothing is recovered, nothing changed. With `state_folder` its lock is held
 * (LVN_ERROR_CONFLICT while a pipeline runs); NULL: a copy, which nobody else uses. Close it by lvn_index_close(). */
LVN_MUST_CHECK bool lvn_index_inspect(const char *state_folder, const char *path, struct lvn_index **ret_index,
                                      struct lvn_error *err);
/* A consistent copy of a running index. `path` must not exist. */
LVN_MUST_CHECK bool lvn_index_copy(struct lvn_index *index, const char *path, struct lvn_error *err);

enum lvn_index_fault_kind {
  LVN_INDEX_FAULT_FILE,    /* the index itself */
  LVN_INDEX_FAULT_STATE,   /* nothing ends it */
  LVN_INDEX_FAULT_RESULT,  /* more than one current report */
  LVN_INDEX_FAULT_REBUILD, /* a rebuild would not give this */
  LVN_INDEX_FAULT_UNKNOWN  /* stored, but not in the index; `subject` is its digest */
};
/* `text`: one sentence; `subject`: digest in hexadecimal digits, or "". */
typedef bool (*lvn_index_fault_visitor)(void *user_data, enum lvn_index_fault_kind kind, const char *text,
                                        const char *subject, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_each_fault(struct lvn_index *index, lvn_index_fault_visitor visit, void *user_data,
                                         struct lvn_error *err);
/* Against a closed index file that was made from the same store. */
LVN_MUST_CHECK bool lvn_index_each_difference(struct lvn_index *index, const char *rebuilt_path,
                                              lvn_index_fault_visitor visit, void *user_data, struct lvn_error *err);

/* What runs by the index: "job" and the number, "outbound" and the destination. */
typedef bool (*lvn_index_busy_visitor)(void *user_data, const char *entity, const char *id, const char *study_name,
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_each_busy(struct lvn_index *index, lvn_index_busy_visitor visit, void *user_data,
                                        struct lvn_error *err);

/* Files that the index names: objects (`path` empty) and results. */
typedef bool (*lvn_index_file_visitor)(void *user_data, const uint8_t sha256[LVN_SHA256_BYTES], const char *path,
                                       const char *study_name, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_each_file(struct lvn_index *index, lvn_index_file_visitor visit, void *user_data,
                                        struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
