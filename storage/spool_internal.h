/* Internal to the spool: what its source files share. */
#ifndef LVN_STORAGE_SPOOL_INTERNAL_H
#define LVN_STORAGE_SPOOL_INTERNAL_H

#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_spool {
  char tmp_folder[LVN_PATH_BYTES];
  char new_folder[LVN_PATH_BYTES];
  char open_folder[LVN_PATH_BYTES];
  char objects_folder[LVN_PATH_BYTES];
  int new_fd; /* kept open for its fsync */
};

/* Create `path` and hold its lock as long as *ret_fd is open; *ret_fd is -1 when a cleaner removed it in between: try
 * again. */
LVN_MUST_CHECK bool lvn_spool_create_locked(const char *path, int *ret_fd, struct lvn_error *err);

/* Attach the facts to the open temporary file `fd` (durable with its fsync), or, where the file system has no extended
 * attributes, write them durably beside `new_path`, the object's final path. */
LVN_MUST_CHECK bool lvn_spool_facts_write(int fd, const char *new_path, const struct lvn_spool_facts *facts,
                                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
