/* What this module calls peers for, as errands: a request to promise, a report to somebody who asked. */
#ifndef LVN_DAEMON_PIPELINE_CALLS_H
#define LVN_DAEMON_PIPELINE_CALLS_H

#include "config/config.h"
#include "daemon/pipeline/shared/errands.h"
#include "dicom/net/services/commitment.h"
#include "storage/letters.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_call {
  struct lvn_errand errand; /* to the peer's name, with the kind of call before it */
  bool is_request;          /* else a report */
  struct lvn_config_peer peer;
  char calling_aet[LVN_AET_BYTES];
  unsigned connect_seconds;
  unsigned answer_seconds;
  unsigned stay_seconds;
  struct lvn_commitment commitment;        /* owned */
  const struct lvn_letters *letters;       /* borrowed: where reports go that come on the same association */
  char letter_name[LVN_LETTER_NAME_BYTES]; /* of a report: the request's */
  /* What came of it. */
  bool is_answered;
  bool was_sent;
  uint16_t status;
  struct lvn_error err;
};

/* Without a commitment; lvn_call_destroy() it. */
LVN_MUST_CHECK struct lvn_call *lvn_call_create(const struct lvn_config *config, const struct lvn_config_peer *peer,
                                                bool is_request, struct lvn_error *err);
void lvn_call_destroy(struct lvn_errand *errand);
/* The errand's name. */
void lvn_call_name(const char *peer_name, bool is_request, char ret_name[64]);

#ifdef __cplusplus
}
#endif
#endif
