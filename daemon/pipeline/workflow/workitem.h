/* A workitem that this node claimed, or was about to, as a file. Internal to workflow. */
#ifndef LVN_DAEMON_PIPELINE_WORKITEM_H
#define LVN_DAEMON_PIPELINE_WORKITEM_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_WORKITEMS_MAX 16
#define LVN_WORKITEM_REASON_BYTES 512
#define LVN_WORKITEM_NAME_BYTES 13

enum lvn_workitem_state {
  LVN_WORKITEM_CLAIMING, /* the claim may have been heard */
  LVN_WORKITEM_CLAIMED,  /* its inputs are to be fetched */
  LVN_WORKITEM_WORKING   /* they are here; the study is under way */
};

struct lvn_workitem {
  char uid[LVN_UID_BYTES];
  char transaction_uid[LVN_UID_BYTES];
  char study_uid[LVN_UID_BYTES]; /* of its inputs; empty until they are fetched */
  enum lvn_workitem_state state;
  int64_t claimed_ms; /* wall clock */
  int64_t fetched_ms;
};

/* For logs: no UID is in them. */
void lvn_workitem_name(const struct lvn_workitem *item, char ret_name[LVN_WORKITEM_NAME_BYTES]);
/* Durable. */
LVN_MUST_CHECK bool lvn_workitem_write(const char *state_folder, const struct lvn_workitem *item,
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_workitem_remove(const char *state_folder, const struct lvn_workitem *item,
                                        struct lvn_error *err);
/* Only while nobody writes one. */
LVN_MUST_CHECK bool lvn_workitem_read_all(const char *state_folder, struct lvn_workitem ret_items[LVN_WORKITEMS_MAX],
                                          size_t *ret_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
