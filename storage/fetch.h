/* What is asked for at archives: which study is next, how often it was asked for, and what is said of it in the list of
 * studies. Over the index's connection and by its thread rule. */
#ifndef LVN_STORAGE_FETCH_H
#define LVN_STORAGE_FETCH_H

#include "base/error.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_FETCH_SOURCE_BYTES 64

struct lvn_fetch_study {
  char study_uid[LVN_UID_BYTES];
  char name[LVN_INDEX_STUDY_NAME_BYTES]; /* as in logs */
  char source[LVN_FETCH_SOURCE_BYTES];   /* name of the peer it was asked for at, or is to be; "" : not yet */
  char source_aet[17];                   /* who sent what is there; "" : nothing is */
  char source_address[64];
  int64_t revision; /* -1: the study is not known */
  int64_t attempt;  /* since it has this revision, or was ordered */
  bool is_ordered;  /* by an operator */
};
struct lvn_fetch_rule { /* borrowed */
  int64_t quiet_ms;     /* that a study received nothing */
  int64_t attempts_max; /* 0: what is ordered alone */
  const char *senders;  /* AE titles of those whose studies are asked for, each between backslashes */
};
/* A study that an operator ordered, or one that waits, was looked at, and is due. */
LVN_MUST_CHECK bool lvn_fetch_next(struct lvn_index *index, const struct lvn_fetch_rule *rule, int64_t now_ms,
                                   struct lvn_fetch_study *ret_study, bool *ret_found, struct lvn_error *err);
/* When the next one may become due; INT64_MAX: none is known of. */
LVN_MUST_CHECK bool lvn_fetch_next_due(struct lvn_index *index, const struct lvn_fetch_rule *rule, int64_t *ret_due_ms,
                                       struct lvn_error *err);

/* Nothing is asked for before then; no attempt is counted. */
LVN_MUST_CHECK bool lvn_fetch_defer(struct lvn_index *index, const char *study_uid, int64_t not_before_ms,
                                    struct lvn_error *err);
/* Before it is asked for: the attempt is counted. */
LVN_MUST_CHECK bool lvn_fetch_begin(struct lvn_index *index, const struct lvn_fetch_study *study, const char *source,
                                    int64_t not_before_ms, struct lvn_error *err);
/* Said beside the study's status message while it waits. */
LVN_MUST_CHECK bool lvn_fetch_say(struct lvn_index *index, const char *study_uid, const char *note,
                                  struct lvn_error *err);
/* Whom it was asked for at before; "" : nobody. */
LVN_MUST_CHECK bool lvn_fetch_get_source(struct lvn_index *index, const char *study_uid,
                                         char ret_source[LVN_FETCH_SOURCE_BYTES], struct lvn_error *err);
/* Operator: now, whatever was asked for before; a study that is not known here, too. */
LVN_MUST_CHECK bool lvn_fetch_order(struct lvn_index *index, const char *study_uid, const char *source,
                                    struct lvn_error *err);

struct lvn_fetch_held {
  char series_uid[LVN_UID_BYTES];
  int64_t object_count;
};
/* Series of the study that are here. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_fetch_list_held(struct lvn_index *index, const char *study_uid,
                                        struct lvn_fetch_held **ret_held, size_t *ret_count, struct lvn_error *err);
/* Bytes of the study, and objects of other studies that this AE title sent after this reception. */
LVN_MUST_CHECK bool lvn_fetch_count_bytes(struct lvn_index *index, const char *study_uid, int64_t *ret_bytes,
                                          struct lvn_error *err);
LVN_MUST_CHECK bool lvn_fetch_count_others(struct lvn_index *index, const char *study_uid, const char *calling_aet,
                                           int64_t after_sequence, int64_t *ret_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
