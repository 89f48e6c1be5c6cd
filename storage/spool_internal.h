/* Internal to the spool: what its source files share. */
#ifndef LVN_STORAGE_SPOOL_INTERNAL_H
#define LVN_STORAGE_SPOOL_INTERNAL_H

#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_spool {
  char root_folder[LVN_PATH_BYTES];
  char tmp_folder[LVN_PATH_BYTES];
  char new_folder[LVN_PATH_BYTES];
  char open_folder[LVN_PATH_BYTES];
  char objects_folder[LVN_PATH_BYTES];
  int new_fd; /* kept open for its fsync */
  int counter_fd;
  bool counter_is_ready; /* this process, or the one that it was forked from, has gone beyond the reserve */
};

/* Does the name end like an object's in spool/new? */
LVN_MUST_CHECK bool lvn_spool_is_object_name(const char *name);

LVN_MUST_CHECK bool lvn_spool_sync_new_folder(const struct lvn_spool *spool, struct lvn_error *err);

/* Where the bytes of this reception are stored undamaged, *ret_stored is true and the object was offered to the
 * pipeline once more, durably; else nothing was done. */
LVN_MUST_CHECK bool lvn_spool_commit_again(const struct lvn_spool *spool, const char *sha256_text,
                                           const struct lvn_reception_record *record, bool *ret_stored,
                                           struct lvn_error *err);

/* A path in spool/new that no other reception has. */
LVN_MUST_CHECK bool lvn_spool_unique_path(const struct lvn_spool *spool, const char *sha256_text,
                                          const struct lvn_reception_record *record, char ret_path[LVN_PATH_BYTES],
                                          struct lvn_error *err);

/* Shared while record that lie beside their object are being committed, exclusive while record without an object are
 * removed: *ret_fd holds the lock, or is -1 when another process holds it and `exclusive` was asked for. */
LVN_MUST_CHECK bool lvn_spool_lock_new(const struct lvn_spool *spool, bool exclusive, int *ret_fd,
                                       struct lvn_error *err);

/* fsync of the folder that holds `path`, so that a folder made there is not lost. One that may be passed through but
 * not opened is left to its owner. */
LVN_MUST_CHECK bool lvn_spool_sync_parent(const char *path, struct lvn_error *err);

/* The next number of the order of reception: larger than every one given before, by any process, also before a power
 * cut. */
LVN_MUST_CHECK bool lvn_spool_count(struct lvn_spool *spool, int64_t *ret_number, struct lvn_error *err);

/* Remove record in spool/new whose object never came: their process died between the two. */
void lvn_spool_remove_orphans(const struct lvn_spool *spool);

/* Create `path` and hold its lock as long as *ret_fd is open; *ret_fd is -1 when a cleaner removed it in between: try
 * again. */
LVN_MUST_CHECK bool lvn_spool_create_locked(const char *path, int *ret_fd, struct lvn_error *err);

/* Attach the record to the open temporary file `fd` (durable with its fsync), or, where the file system has no extended
 * attributes, write them durably beside `new_path`, the object's final path. */
LVN_MUST_CHECK bool lvn_spool_record_write(int fd, const char *new_path, const struct lvn_reception_record *record,
                                           struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
