/* Internal to the spool: what its source files share. */
#ifndef LVN_STORAGE_SPOOL_INTERNAL_H
#define LVN_STORAGE_SPOOL_INTERNAL_H

#include "storage/objects.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SPOOL_RECORD_BYTES 4096U
#define LVN_SPOOL_NAME_BYTES 256U

struct lvn_spool {
  char state_folder[LVN_PATH_BYTES];
  char root_folder[LVN_PATH_BYTES];
  char tmp_folder[LVN_PATH_BYTES];
  char new_folder[LVN_PATH_BYTES];
  char open_folder[LVN_PATH_BYTES];
  char empty_path[LVN_PATH_BYTES];
  struct lvn_objects *objects;
  int counter_fd;
  bool counter_is_ready; /* this process, or the one that it was forked from, has gone beyond the reserve */
};

/* fsync of the folder that holds `path`, so that a folder made there is not lost. One that may be passed through but
 * not opened is left to its owner. */
LVN_MUST_CHECK bool lvn_spool_sync_parent(const char *path, struct lvn_error *err);

/* The next number of the order of reception: larger than every one given before, by any process, also before a power
 * cut. */
LVN_MUST_CHECK bool lvn_spool_count(struct lvn_spool *spool, int64_t *ret_number, struct lvn_error *err);

/* Create `path` and hold its lock as long as *ret_fd is open; *ret_fd is -1 when a cleaner removed it in between: try
 * again. */
LVN_MUST_CHECK bool lvn_spool_create_locked(const char *path, int *ret_fd, struct lvn_error *err);

/* The JSON of release 0.1.0. */
LVN_MUST_CHECK bool lvn_spool_record_parse(const char *path, const char *text, size_t bytes,
                                           struct lvn_reception_record *ret_record, struct lvn_error *err);

/* Puts the bytes of `path` into the store, by a link; the shard is locked. *ret_placed: the store did not have the
 * object, or only damaged. */
LVN_MUST_CHECK bool lvn_spool_place(const struct lvn_spool *spool, const char *path,
                                    const uint8_t sha256[LVN_SHA256_BYTES], bool *ret_placed, struct lvn_error *err);
/* Tells the pipeline of a reception that waits, by a name in spool/new. */
LVN_MUST_CHECK bool lvn_spool_announce(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                                       struct lvn_error *err);
/* That name. */
LVN_MUST_CHECK bool lvn_spool_record_to_new_path(const struct lvn_spool *spool,
                                                 const struct lvn_reception_record *record,
                                                 char ret_path[LVN_PATH_BYTES], struct lvn_error *err);
/* The name of its record in the object store. */
void lvn_spool_record_to_name(const struct lvn_reception_record *record, const char *ending,
                              char ret_name[LVN_SPOOL_NAME_BYTES]);
/* Makes that name; one that is there is fine. */
LVN_MUST_CHECK bool lvn_spool_name_record(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                                          const char *ending, char ret_path[LVN_PATH_BYTES], struct lvn_error *err);

/* Moves a file to <state>/unreadable, durably. *ret_there: it is there now, or was before. */
LVN_MUST_CHECK bool lvn_spool_move_aside(const struct lvn_spool *spool, const char *path, bool *ret_there,
                                         struct lvn_error *err);

/* Announces every reception that waits in the object store. */
LVN_MUST_CHECK bool lvn_spool_scan(struct lvn_spool *spool, struct lvn_error *err);

/* The state of release 0.1.0. Objects in spool/new go to the store and are announced. */
LVN_MUST_CHECK bool lvn_spool_convert_new(struct lvn_spool *spool, struct lvn_error *err);
/* Objects of a shard, which is locked by `folder_fd`, get their record from the extended attribute or the side file. */
LVN_MUST_CHECK bool lvn_spool_convert_shard(const struct lvn_spool *spool, const char *folder, int folder_fd,
                                            const struct lvn_file_names *names, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
