/* The spool: where an association's objects become durable before they are acknowledged. Depends on the file system
 * alone, never on the database.
 *   spool/tmp/<random>          being received, locked (flock) while its process lives
 *   spool/new/<sha256>.obj      complete and durable: a Part 10 file that waits for the index
 *   spool/new/<sha256>-<…>.obj  the same for bytes that were received before, or whose stored file is damaged
 *   spool/open/<association>    one per open association, locked while it lives; lists the study UIDs it adds to
 *   spool/counter               the order of reception, which no clock can turn round
 * What the index needs beyond the Part 10 bytes (calling AE title, address, time, UIDs) is JSON in the extended
 * attribute "user.livervlm.record" of the object: one fsync makes both durable, and the record follow the file into the
 * object store. A file system without extended attributes gets spool/new/<sha256>.json instead, committed before the
 * object and removed at the next open where the object did not follow. Names hold no byte that a peer chose. */
#ifndef LVN_STORAGE_SPOOL_H
#define LVN_STORAGE_SPOOL_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A spool folder; immutable after open. */
struct lvn_spool;
/* Creates the folders when they are missing; removes what dead processes left in tmp (living ones hold a lock). */
LVN_MUST_CHECK bool lvn_spool_open(const char *state_folder, struct lvn_spool **ret_spool, struct lvn_error *err);
void lvn_spool_close(struct lvn_spool *spool);
/* Removes what dead processes left in tmp: for the moment at which one is known to have died. */
void lvn_spool_remove_dead(const struct lvn_spool *spool);
const char *lvn_spool_get_new_folder(const struct lvn_spool *spool);

/* Reception record about a received object. The SHA-256 is of the Part 10 file: preamble, meta header made by us (fixed
 * content: depends on class, instance and transfer syntax only) and the data set's bytes, so the same object from two
 * peers has the same digest. */
struct lvn_reception_record {
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  char study_instance_uid[LVN_UID_BYTES];
  char series_instance_uid[LVN_UID_BYTES];
  char calling_aet[17];
  char address[64];
  char association_id[33];
  int64_t received_ms; /* for people: a clock may be set back */
  int64_t sequence;    /* order of reception, filled by commit; 0: received before there was one */
  uint64_t byte_count;
  uint8_t sha256[LVN_SHA256_BYTES];
  bool already_stored; /* filled by commit only: the same bytes were there and were not written again */
};

/* One object being received. Belongs to one thread. */
struct lvn_spool_writer;
LVN_MUST_CHECK bool lvn_spool_begin(struct lvn_spool *spool, struct lvn_spool_writer **ret_writer,
                                    struct lvn_error *err);
/* `data` in order: first the Part 10 header, then the data set. The digest runs along. */
LVN_MUST_CHECK bool lvn_spool_write(struct lvn_spool_writer *writer, const void *data, size_t bytes,
                                    struct lvn_error *err);
/* Path of the temporary file, flushed to the kernel (not synced), for the header scan. */
const char *lvn_spool_writer_get_path(const struct lvn_spool_writer *writer);
/* Write, fsync, rename, fsync of the folder. When this returns true the object survives a power cut. Fills sequence,
 * byte_count, sha256 and already_stored of `record`. An object whose bytes wait in spool/new or lie in
 * objects/ab/<sha256>.dcm, undamaged, is not written again: it gets another name in spool/new, so that the index hears
 * of this reception. What is damaged there is replaced by the pipeline with what was written now. Destroys the writer
 * in every case; on failure nothing of the object is left, unless the folder's own fsync failed: then the whole object
 * stays, and may be indexed, but must not be acknowledged. */
LVN_MUST_CHECK bool lvn_spool_commit(struct lvn_spool_writer *writer, struct lvn_reception_record *record,
                                     struct lvn_error *err);
void lvn_spool_abandon(struct lvn_spool_writer *writer); /* removes the temporary file; NULL is allowed */

/* Numbers given from here on are larger than `seen`, the largest that the index knows: for a spool whose counter was
 * lost. */
LVN_MUST_CHECK bool lvn_spool_raise_counter(struct lvn_spool *spool, int64_t seen, struct lvn_error *err);

/* An open association's marker: exists and is locked while the association lives. */
struct lvn_spool_marker;
LVN_MUST_CHECK bool lvn_spool_marker_create(struct lvn_spool *spool, const char *association_id,
                                            struct lvn_spool_marker **ret_marker, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_spool_marker_add_study(struct lvn_spool_marker *marker, const char *study_instance_uid,
                                               struct lvn_error *err);
void lvn_spool_marker_destroy(struct lvn_spool_marker *marker);
/* Study UIDs that living associations add to now, sorted; markers of dead processes are removed on the way. */
LVN_MUST_CHECK bool lvn_spool_open_studies(struct lvn_spool *spool, struct lvn_file_names *ret_study_uids,
                                           struct lvn_error *err);
/* The same, but a marker that cannot be read holds back nobody else's studies: *ret_unread counts such, and `err` says
 * why. */
LVN_MUST_CHECK bool lvn_spool_find_open_studies(struct lvn_spool *spool, struct lvn_file_names *ret_study_uids,
                                                size_t *ret_unread, struct lvn_error *err);
/* Is the study among those? */
LVN_MUST_CHECK bool lvn_spool_is_open_study(const struct lvn_file_names *open_studies, const char *study_instance_uid);

/* Paths of the objects waiting, oldest first, at most `max_count`. */
LVN_MUST_CHECK bool lvn_spool_list_new(struct lvn_spool *spool, size_t max_count, struct lvn_file_names *ret_paths,
                                       struct lvn_error *err);
/* Reception record of an object in spool/new, or of one that was renamed into the object store where the file system
 * keeps extended attributes. LVN_ERROR_DATA when there are none. */
LVN_MUST_CHECK bool lvn_spool_read_record(const char *object_path, struct lvn_reception_record *ret_record,
                                          struct lvn_error *err);
/* Remove what is left of an object in spool/new (the file, the record beside it) after the store has it; what is gone
 * already is fine. */
LVN_MUST_CHECK bool lvn_spool_remove(const char *object_path, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
