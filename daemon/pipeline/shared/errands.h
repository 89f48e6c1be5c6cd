/* Errands: calls to peers that block, each on a thread of its own, so that the pipeline never waits for a peer. An
 * errand knows nothing of the index. Everything here is for one thread but the errand itself. */
#ifndef LVN_DAEMON_PIPELINE_ERRANDS_H
#define LVN_DAEMON_PIPELINE_ERRANDS_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ERRANDS_MAX 64U

/* The first member of what an errand is about. It is the errand's until it is taken; then the caller's again. */
struct lvn_errand {
  void (*run)(struct lvn_errand *errand);     /* on its thread; every wait bounded */
  void (*destroy)(struct lvn_errand *errand); /* of one that nobody takes */
  char name[64];                              /* whom it calls: one errand a name at a time */
  int is_ended;                               /* of lvn_errand_end() */
};

/* What runs may come to its end before its time: said by the caller, looked at on its thread. */
void lvn_errand_end(struct lvn_errand *errand);
bool lvn_errand_is_ended(const struct lvn_errand *errand);

struct lvn_errands;
LVN_MUST_CHECK bool lvn_errands_create(struct lvn_errands **ret_errands, struct lvn_error *err);
/* Asks all to end and waits at most `seconds`; threads that take longer are left to the end of the process. NULL is
 * allowed. */
void lvn_errands_destroy(struct lvn_errands *errands, double seconds);

/* Readable when one has ended. */
int lvn_errands_get_fd(const struct lvn_errands *errands);
bool lvn_errands_is_busy(const struct lvn_errands *errands, const char *name);
size_t lvn_errands_count_busy(const struct lvn_errands *errands);
/* The errand under way to this name; NULL: none. */
struct lvn_errand *lvn_errands_find(const struct lvn_errands *errands, const char *name);
/* On failure the errand is still the caller's. */
LVN_MUST_CHECK bool lvn_errands_start(struct lvn_errands *errands, struct lvn_errand *errand, struct lvn_error *err);
/* One that has ended; NULL: none. */
struct lvn_errand *lvn_errands_take(struct lvn_errands *errands);

#ifdef __cplusplus
}
#endif
#endif
