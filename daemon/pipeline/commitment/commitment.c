#include "daemon/pipeline/commitment/commitment.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/commitment/commitment_parts.h"

#define RETRY_MS INT64_C(5000)
#define DESTROY_SECONDS 10.0

static void wake(void *user_data) {
  (void)user_data; /* the tick that follows takes what has ended */
}

/* The tick that follows looks for itself. */
static void drain(void *user_data) {
  const struct lvn_commitment_module *module = user_data;
  char events[4096];
  while (read(module->inotify_fd, events, sizeof events) > 0) {
  }
}

static bool watch_letters(struct lvn_commitment_module *module, struct lvn_error *err) {
  const char *folder = lvn_letters_get_folder(module->letters);
  module->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (module->inotify_fd < 0 || inotify_add_watch(module->inotify_fd, folder, IN_MOVED_TO) < 0) {
    return lvn_error_set_errno(err, errno, "cannot watch '%s'", folder);
  }
  return lvn_loop_add_fd(module->needs.loop, module->inotify_fd, drain, module, &module->inotify_source, err);
}

bool lvn_commitment_module_create(const struct lvn_commitment_needs *needs, struct lvn_commitment_module **ret_module,
                                  struct lvn_error *err) {
  struct lvn_commitment_module *module = lvn_alloc(1, sizeof *module, err);
  if (module == NULL) {
    return false;
  }
  module->needs = *needs;
  module->inotify_fd = -1;
  if (!lvn_letters_open(needs->config->state_folder, &module->letters, err) ||
      !lvn_errands_create(&module->errands, err) ||
      !lvn_loop_add_fd(needs->loop, lvn_errands_get_fd(module->errands), wake, module, &module->errands_source, err) ||
      !watch_letters(module, err)) {
    lvn_commitment_module_destroy(module);
    return false;
  }
  *ret_module = module;
  return true;
}

void lvn_commitment_module_destroy(struct lvn_commitment_module *module) {
  if (module == NULL) {
    return;
  }
  lvn_loop_source_destroy(module->errands_source);
  lvn_loop_source_destroy(module->inotify_source);
  lvn_file_close_pointer(&module->inotify_fd);
  lvn_errands_destroy(module->errands, DESTROY_SECONDS);
  lvn_letters_close(module->letters);
  lvn_free(module);
}

const char *lvn_commitment_module_problem(const struct lvn_commitment_module *module) {
  return module->trouble.text;
}

void lvn_commitment_module_stop(struct lvn_commitment_module *module) {
  module->stops = true;
}

/* ---- lanes ---- */

static struct lvn_lane *find_lane(struct lvn_commitment_module *module, const char *name) {
  struct lvn_lane *idle = &module->lanes[0];
  for (size_t i = 0; i < LVN_LANES_MAX; i++) {
    struct lvn_lane *lane = &module->lanes[i];
    if (strcmp(lane->name, name) == 0) {
      return lane;
    }
    idle = lane->next_ms < idle->next_ms ? lane : idle;
  }
  *idle = (struct lvn_lane){0}; /* of a peer that was renamed, or never called */
  (void)lvn_copy(idle->name, sizeof idle->name, name);
  return idle;
}

int64_t lvn_lane_pause_ms(const struct lvn_config *config, unsigned failures) {
  int64_t seconds = config->retry_first_seconds;
  for (unsigned i = 1; i < failures && seconds < (int64_t)config->retry_max_seconds; i++) {
    seconds *= 2;
  }
  return 1000 * (seconds < (int64_t)config->retry_max_seconds ? seconds : (int64_t)config->retry_max_seconds);
}

bool lvn_lane_is_free(struct lvn_commitment_module *module, const char *peer_name, bool is_request) {
  char name[64];
  lvn_call_name(peer_name, is_request, name);
  const struct lvn_lane *lane = find_lane(module, name);
  if (lane->next_ms > lvn_tick_now_ms()) {
    lvn_tick_at(&module->due_ms, lane->next_ms);
    return false;
  }
  return !lvn_errands_is_busy(module->errands, name);
}

void lvn_lane_note(struct lvn_commitment_module *module, const char *peer_name, bool is_request, bool is_good) {
  char name[64];
  lvn_call_name(peer_name, is_request, name);
  struct lvn_lane *lane = find_lane(module, name);
  lane->failures = is_good ? 0 : lane->failures + 1;
  lane->next_ms = is_good ? 0 : lvn_tick_now_ms() + lvn_lane_pause_ms(module->needs.config, lane->failures);
}

/* ---- the tick ---- */

/* What came of a call and cannot be recorded now is asked for again: no call's outcome is the only one that counts. */
static bool take_calls(struct lvn_commitment_module *module, struct lvn_error *err) {
  bool good = true;
  for (struct lvn_errand *errand = lvn_errands_take(module->errands); errand != NULL;
       errand = lvn_errands_take(module->errands)) {
    struct lvn_call *call = (struct lvn_call *)errand;
    good = (call->is_request ? lvn_promises_take : lvn_replies_take)(module, call, err) && good;
    lvn_call_destroy(errand);
  }
  return good;
}

static void work(struct lvn_commitment_module *module) {
  struct lvn_error err = {0};
  const bool good = take_calls(module, &err);
  if (lvn_trouble_holds(&module->trouble, &module->due_ms)) {
    return;
  }
  if (!good || !lvn_promises_tick(module, &err) || !lvn_replies_tick(module, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "commitment-failed", &err, "action=retry");
    lvn_trouble_set(&module->trouble, &module->due_ms, RETRY_MS, "storage commitment cannot go on: %.200s",
                    err.message);
  }
}

int64_t lvn_commitment_module_tick(struct lvn_commitment_module *module, int64_t now_ms) {
  (void)now_ms;
  module->due_ms = LVN_TICK_NEVER;
  work(module);
  return module->due_ms;
}
