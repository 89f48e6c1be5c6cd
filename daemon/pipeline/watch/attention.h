/* What an administrator should know of the node now, one line each: for `livervlm status`, /health, /metrics and
 * whoever is told by mail. Counts and names of peers, never a patient. */
#ifndef LVN_DAEMON_PIPELINE_ATTENTION_H
#define LVN_DAEMON_PIPELINE_ATTENTION_H

#include "config/config.h"
#include "daemon/pipeline/retention/retention.h"
#include "storage/index.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ATTENTION_LINES_MAX 24
#define LVN_ATTENTION_TEXT_BYTES 320
#define LVN_ATTENTION_PEERS_MAX 64 /* LVN_CONFIG_PEERS_MAX, and those that were removed from it */

enum lvn_attention_kind {
  LVN_ATTENTION_PROBLEM,     /* the node cannot do its work at the moment */
  LVN_ATTENTION_DESTINATION, /* a peer takes nothing */
  LVN_ATTENTION_UNDELIVERED, /* results were given up */
  LVN_ATTENTION_ANALYSIS,    /* an analysis waits for long */
  LVN_ATTENTION_STUDY,       /* studies wait for a phase or a ROI for long */
  LVN_ATTENTION_DISK,
  LVN_ATTENTION_CERTIFICATE, /* one of the node's ends soon, or has ended */
  LVN_ATTENTION_AUDIT,       /* messages wait for their repository, or were dropped */
  LVN_ATTENTION_EXPIRY,      /* studies without a result will be removed soon */
  LVN_ATTENTION_RETENTION,
  LVN_ATTENTION_SETUP,
  LVN_ATTENTION_KINDS
};
const char *lvn_attention_kind_name(enum lvn_attention_kind kind); /* "problem", … */

struct lvn_attention_line {
  enum lvn_attention_kind kind;
  char subject[LVN_DESTINATION_BYTES]; /* the peer; empty where there is none */
  char text[LVN_ATTENTION_TEXT_BYTES];
};
struct lvn_attention {
  struct lvn_attention_line lines[LVN_ATTENTION_LINES_MAX];
  size_t count;
  struct lvn_outbox_destination destinations[LVN_ATTENTION_PEERS_MAX]; /* what waits or failed, by destination */
  size_t destination_count;
  int64_t studies_waiting_long; /* of the last day */
};

struct lvn_attention_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_retention *retention;
  const char *problem; /* empty: none */
  int64_t now_ms;      /* wall clock */
};
LVN_MUST_CHECK bool lvn_attention_list(const struct lvn_attention_needs *needs, struct lvn_attention *ret_attention,
                                       struct lvn_error *err);

/* The sentence about the node's certificates; empty where all is well, or there are none. */
void lvn_attention_describe_certificates(char *ret_text, size_t text_bytes);

/* How long before keep_waiting_days are over a study is warned of: a day, or half of them. 0: they are kept. */
int64_t lvn_attention_expiry_lead_ms(const struct lvn_config *config);

#ifdef __cplusplus
}
#endif
#endif
