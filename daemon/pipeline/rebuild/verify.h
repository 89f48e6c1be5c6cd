/* Does the store keep what it promises? Every acknowledged object is there with its digest; every state has an end;
 * every study has at most one current report; the index is what a rebuild would make. Reads only; a rebuild for the
 * comparison is made in a folder of its own, which goes away. */
#ifndef LVN_DAEMON_VERIFY_H
#define LVN_DAEMON_VERIFY_H

#include "base/error.h"
#include "config/config.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_VERIFY_COPY "verify.sqlite" /* in the state folder: a running node's index, copied for this */

struct lvn_verify_options {
  const struct lvn_config *config;
  /* Of a node that runs: LVN_VERIFY_COPY is looked at, and these are its jobs' numbers and its busy destinations.
   * NULL: it is stopped; its own index is looked at under its lock (LVN_ERROR_CONFLICT when it runs after all). */
  const json_t *running_jobs;
  const json_t *busy_destinations;
};

struct lvn_verify_counts {
  size_t objects;    /* in the index */
  size_t results;    /* files of results */
  size_t waiting;    /* received, not in the index yet */
  size_t unreadable; /* received, kept apart since they cannot be read */
};

/* One fault; `kind` is a word, `text` a sentence without patient data. */
typedef bool (*lvn_verify_visitor)(void *user_data, const char *kind, const char *text, struct lvn_error *err);

LVN_MUST_CHECK bool lvn_verify_store(const struct lvn_verify_options *options, lvn_verify_visitor visit,
                                     void *user_data, struct lvn_verify_counts *ret_counts, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
