#include "daemon/pipeline/fetch/fetch.h"

#include "base/memory.h"
#include "daemon/pipeline/shared/tick.h"

struct lvn_fetch {
  struct lvn_fetch_needs needs;
};

bool lvn_fetch_create(const struct lvn_fetch_needs *needs, struct lvn_fetch **ret_fetch, struct lvn_error *err) {
  struct lvn_fetch *fetch = lvn_alloc(1, sizeof *fetch, err);
  if (fetch == NULL) {
    return false;
  }
  fetch->needs = *needs;
  *ret_fetch = fetch;
  return true;
}

void lvn_fetch_destroy(struct lvn_fetch *fetch) {
  lvn_free(fetch);
}

int64_t lvn_fetch_tick(struct lvn_fetch *fetch, int64_t now_ms) {
  (void)fetch;
  (void)now_ms;
  return LVN_TICK_NEVER;
}

const char *lvn_fetch_problem(const struct lvn_fetch *fetch) {
  (void)fetch;
  return "";
}
