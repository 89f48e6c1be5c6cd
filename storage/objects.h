/* The object store: every acknowledged object under its digest, <state>/objects/ab/<sha256>.dcm, never changed, and
 * replaced only where it is damaged. An object's record (calling AE title, reception time, …) stay with the file, as
 * the spool wrote them. */
#ifndef LVN_STORAGE_OBJECTS_H
#define LVN_STORAGE_OBJECTS_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Belongs to one thread at a time. */
struct lvn_objects;
LVN_MUST_CHECK bool lvn_objects_open(const char *state_folder, struct lvn_objects **ret_objects, struct lvn_error *err);
void lvn_objects_close(struct lvn_objects *objects); /* NULL is allowed */

LVN_MUST_CHECK bool lvn_objects_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                                     char ret_path[LVN_PATH_BYTES], struct lvn_error *err);

/* Moving an object in takes three steps, so that a kill between any two leaves something that repeating them mends:
 * 1. link   the file (and its record) gets its second name here; an undamaged object that is there already is fine, a
 *           damaged one is replaced;
 * 2. sync   the folders of all links since the last sync are durable; after it the index may name the objects;
 * 3. lvn_spool_remove() of the first name, after the index has committed.
 * *ret_placed: the store did not have the object, or only damaged. */
LVN_MUST_CHECK bool lvn_objects_link(struct lvn_objects *objects, const char *spool_path,
                                     const uint8_t sha256[LVN_SHA256_BYTES], bool *ret_placed, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_objects_sync(struct lvn_objects *objects, struct lvn_error *err);

/* Retention only. What is gone already is fine. */
LVN_MUST_CHECK bool lvn_objects_remove(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                                       struct lvn_error *err);

/* Calls `visit` with the path and digest of every object, in order of digest; it returns false (with `err`) to stop. */
typedef bool (*lvn_objects_visitor)(void *user_data, const char *path, const uint8_t sha256[LVN_SHA256_BYTES],
                                    struct lvn_error *err);
LVN_MUST_CHECK bool lvn_objects_each(const struct lvn_objects *objects, lvn_objects_visitor visit, void *user_data,
                                     struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
