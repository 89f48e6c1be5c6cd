/* The spool: how an association's objects become durable, once, before they are acknowledged. Depends on the file
 * system alone, never on the database. spool/tmp/<random>                   being received, locked (flock) while its
 * process lives spool/new/<sequence>-<sha256>-…      a reception that waits for the index: an entry whose name is
 * its record, whatever it holds spool/open/<association>             one per open association, locked while it lives;
 * the study UIDs it adds to spool/counter                        the order of reception, which no clock can turn round
 * spool/boot the boot since which no name in spool/new can be lost The bytes and the record of a reception lie in the
 * object store (storage/objects.h) when 0x0000 is sent; the names in spool/new are not synced. A power cut that takes
 * some is noticed by the boot id at the next opening, and they are made again from the records that wait. Names hold no
 * byte that a peer chose. */
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
/* Creates the folders when they are missing; removes what dead processes left in tmp (living ones hold a lock), and
 * recovers where that is possible now. */
LVN_MUST_CHECK bool lvn_spool_open(const char *state_folder, struct lvn_spool **ret_spool, struct lvn_error *err);
void lvn_spool_close(struct lvn_spool *spool);
/* After another boot, or the first time: every reception that waits has its name in spool/new again, and the state of
 * release 0.1.0 (records in extended attributes, objects in spool/new) has the form of this one. Does nothing when that
 * was done, unless `always`. */
LVN_MUST_CHECK bool lvn_spool_recover(struct lvn_spool *spool, bool always, struct lvn_error *err);
/* Removes what dead processes left in tmp, for the moment at which one is known to have died; a reception that it had
 * made durable and not announced is announced. */
void lvn_spool_remove_dead(struct lvn_spool *spool);
const char *lvn_spool_get_new_folder(const struct lvn_spool *spool);

#define LVN_SPOOL_STUDY_BYTES 13U

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
  char study_digest[LVN_SPOOL_STUDY_BYTES]; /* of its study UID, where that is not read yet; empty: not known */
  int64_t received_ms;                      /* for people: a clock may be set back */
  int64_t sequence;                         /* order of reception, filled by commit; 0: received before there was one */
  uint64_t byte_count;
  uint8_t sha256[LVN_SHA256_BYTES];
  bool already_stored; /* filled by commit: the same bytes were there and were not written again */
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
/* The object is synced, unless its bytes lie in the store undamaged; it and the record of this reception get their
 * names in the store, whose folder is synced, and the pipeline is told. When this returns true they survive a power
 * cut. Fills sequence, byte_count, sha256 and already_stored of `record`. Destroys the writer in every case; on failure
 * nothing of this reception is left. */
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

/* Paths in spool/new of the receptions that wait for the index, in their order, at most `max_count`. */
LVN_MUST_CHECK bool lvn_spool_list_new(struct lvn_spool *spool, size_t max_count, struct lvn_file_names *ret_paths,
                                       struct lvn_error *err);
/* What the name of an entry in spool/new says: everything but UIDs and size, which are in the object. LVN_ERROR_DATA:
 * missing, or not such a name. */
LVN_MUST_CHECK bool lvn_spool_read_record(const char *path, struct lvn_reception_record *ret_record,
                                          struct lvn_error *err);
/* May the reception be of this study? By chance, of one in 2^48 others; `if_unknown` where it names none, as one does
 * that was announced again after a power cut. */
LVN_MUST_CHECK bool lvn_spool_may_be_of_study(const struct lvn_reception_record *record, const char *study_instance_uid,
                                              bool if_unknown);
/* What the name of a record in the object store says: everything but UIDs and size, which are in the object. */
LVN_MUST_CHECK bool lvn_spool_record_from_name(const char *name, struct lvn_reception_record *ret_record,
                                               struct lvn_error *err);
/* After the index has committed: this record is the object's, unless a newer one is, and waits no longer. `is_first`:
 * the index did not have the object before. What is done already is fine, and so is a kill at any point: then the index
 * hears of the reception once more. */
LVN_MUST_CHECK bool lvn_spool_finish(struct lvn_spool *spool, const char *new_path, bool is_first,
                                     struct lvn_error *err);
/* A reception that cannot be indexed: its record, and its object unless `keeps_object`, go to <state>/unreadable, for a
 * person to look at. *ret_lost: there is no such object, neither in the store nor there; its record is removed. */
LVN_MUST_CHECK bool lvn_spool_set_aside(struct lvn_spool *spool, const char *new_path, bool keeps_object,
                                        bool *ret_lost, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
