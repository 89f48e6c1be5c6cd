/* Query and retrieve as SCU, study root: what an archive has of a study, and its sending of a series, to a node that it
 * knows (C-MOVE) or on this association (C-GET). Studies are asked for by their UID alone. Source: PS3.4 annex C. */
#ifndef LVN_DICOM_NET_SERVICES_QUERY_H
#define LVN_DICOM_NET_SERVICES_QUERY_H

#include "dicom/net/services/scu.h"
#include "dicom/net/services/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_query_series {
  char series_uid[65];
  char modality[17];
  int64_t object_count; /* -1: the archive does not say */
};

/* Belongs to one thread at a time. */
struct lvn_query;
/* `storage` NULL: series will be sent by C-MOVE; else they come on this association, to its handler (borrowed).
 * LVN_ERROR_DATA: the peer refuses one of the services; else as lvn_scu_open(). */
LVN_MUST_CHECK bool lvn_query_open(const struct lvn_scu_peer *peer, struct lvn_storage *storage,
                                   struct lvn_query **ret_query, struct lvn_error *err);
void lvn_query_close(struct lvn_query *query); /* NULL is allowed */

/* Series of a study, at most `max_count`: none where the archive does not have the study. Answers about other studies
 * are left out. lvn_free() the array. LVN_ERROR_PROTOCOL: the peer did not answer, or answered with a failure. */
LVN_MUST_CHECK bool lvn_query_list_series(struct lvn_query *query, const char *study_uid, size_t max_count,
                                          struct lvn_query_series **ret_series, size_t *ret_count,
                                          struct lvn_error *err);

struct lvn_query_retrieved {
  uint16_t status; /* the last answer's */
  uint32_t completed;
  uint32_t failed;
  bool is_cancelled; /* by goes_on() */
};
/* One series; *ret_retrieved is filled as far as it went, also on failure. `goes_on`, asked after every answer and with
 * what has come, cancels by false. `destination_aet`: where to, by C-MOVE. */
LVN_MUST_CHECK bool lvn_query_retrieve(struct lvn_query *query, const char *study_uid, const char *series_uid,
                                       const char *destination_aet,
                                       bool (*goes_on)(void *user_data, const struct lvn_query_retrieved *retrieved),
                                       void *user_data, struct lvn_query_retrieved *ret_retrieved,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
