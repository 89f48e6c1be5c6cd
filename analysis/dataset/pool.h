/* Work in several processes, one for each piece: a piece that crashes, hangs or runs out of memory costs that piece. */
#ifndef LVN_ANALYSIS_DATASET_POOL_H
#define LVN_ANALYSIS_DATASET_POOL_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_POOL_JOBS_MAX 64

struct lvn_pool {
  size_t piece_count;
  unsigned jobs;      /* processes at a time, 1 to LVN_POOL_JOBS_MAX */
  double seconds_max; /* of one piece */
  void *context;
  /* In the caller's process, before the piece is started; false: there is nothing to do for it. */
  bool (*prepare)(void *context, size_t piece);
  /* In a process of its own; lines written to `fd` reach take_line(). */
  void (*work)(void *context, size_t piece, int fd);
  /* In the caller's process: one line, without its newline; writable. */
  void (*take_line)(void *context, size_t piece, char *line);
  /* In the caller's process; `fate` says how it ended: NULL when it ended by itself, else "was ended by signal 11". */
  void (*finish)(void *context, size_t piece, const char *fate);
};

/* All pieces, in order of their start. False when a process cannot be started; the pieces that ran are finished. */
LVN_MUST_CHECK bool lvn_pool_run(const struct lvn_pool *pool, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
