/* The object store: every acknowledged object under the digest of its bytes, never changed, and replaced only where it
 * is damaged. Beside each lies its reception record, an empty file whose name says everything, so that the sync of
 * the folder makes object and record durable. In <state>/objects/ab:
 *   <sha256>.dcm                                                     a Part 10 file
 *   <sha256>-<sequence>-<ms>-<association>-<address>-<AE>.record     the newest reception that the index knows
 *   <sha256>-<sequence>-<ms>-<association>-<address>-<AE>.waiting    a reception that waits for the index
 * (milliseconds since 1970; bytes other than letters, digits, '.' and ':' as %XX). A shard is one of the 256 folders.
 * Its lock (flock on the folder) is held while an object and its record are put there and while one is removed, by
 * whichever process. */
#ifndef LVN_STORAGE_OBJECTS_H
#define LVN_STORAGE_OBJECTS_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_OBJECTS_SHARDS 256U

/* Immutable after open. */
struct lvn_objects;
/* Creates the folders when they are missing. */
LVN_MUST_CHECK bool lvn_objects_open(const char *state_folder, struct lvn_objects **ret_objects, struct lvn_error *err);
void lvn_objects_close(struct lvn_objects *objects); /* NULL is allowed */

LVN_MUST_CHECK bool lvn_objects_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                                     char ret_path[LVN_PATH_BYTES], struct lvn_error *err);
/* Waits for the lock of the shard; *ret_fd is its folder, and holds the lock until it is closed. */
LVN_MUST_CHECK bool lvn_objects_lock(const struct lvn_objects *objects, unsigned shard, int *ret_fd,
                                     struct lvn_error *err);

/* The path of a shard. */
LVN_MUST_CHECK bool lvn_objects_shard_path(const struct lvn_objects *objects, unsigned shard,
                                           char ret_path[LVN_PATH_BYTES], struct lvn_error *err);

/* Retention only: the object and its record, unless a reception of the same bytes waits for the index, which may have
 * been acknowledged a moment ago. What is gone already is fine. */
LVN_MUST_CHECK bool lvn_objects_remove(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                                       struct lvn_error *err);

/* Names in the shard that begin with this digest and a '-', sorted: records, in the order of reception. */
LVN_MUST_CHECK bool lvn_objects_list_records(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                                             struct lvn_file_names *ret_names, struct lvn_error *err);

#define LVN_OBJECTS_RECORD ".record"
#define LVN_OBJECTS_WAITING ".waiting"
LVN_MUST_CHECK bool lvn_objects_has_ending(const char *name, const char *ending);

/* One object in a listing; all is borrowed. */
struct lvn_objects_entry {
  const char *path;
  const char *record_name; /* NULL: there is none, or it waits for the index */
  bool waits;              /* some reception of it waits for the index */
  uint8_t sha256[LVN_SHA256_BYTES];
};

/* Calls `visit` for every object, in order of digest; it returns false (with `err`) to stop. */
typedef bool (*lvn_objects_visitor)(void *user_data, const struct lvn_objects_entry *entry, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_objects_each(const struct lvn_objects *objects, lvn_objects_visitor visit, void *user_data,
                                     struct lvn_error *err);

/* "<sequence>-<sha256>-<more>.new" or ".known" in spool/new, by which the pipeline hears of a reception, in their order
 * (storage/spool_record.c). False: not such a name. */
#define LVN_OBJECTS_NEW ".new"     /* its bytes were written */
#define LVN_OBJECTS_KNOWN ".known" /* the same bytes were there */
LVN_MUST_CHECK bool lvn_objects_parse_new(const char *name, uint8_t ret_sha256[LVN_SHA256_BYTES],
                                          int64_t *ret_sequence);

#ifdef __cplusplus
}
#endif
#endif
