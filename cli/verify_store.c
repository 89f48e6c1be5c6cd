/* livervlm verify-store: does the store keep what it promises? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "cli/owner.h"
#include "daemon/pipeline/rebuild/verify.h"

#define SECOND_LOOK_SECONDS 3.0

static bool collect(void *user_data, const char *kind, const char *text, struct lvn_error *err) {
  json_t *item = json_pack("{s:s, s:s}", "kind", kind, "text", text);
  return json_array_append_new(user_data, item) == 0 ||
         lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a fault");
}

static bool look_at_copy(const char *config_path, const struct lvn_config *config, json_t *faults,
                         struct lvn_verify_counts *counts, struct lvn_error *err) {
  char copy[LVN_PATH_BYTES];
  LVN_AUTOJSON json_t *answer = NULL;
  if (!lvn_path_join(copy, config->state_folder, LVN_VERIFY_COPY, err) ||
      !lvn_operate_ask(config_path, json_pack("{s:s}", "command", "copy-index"), &answer, err)) {
    return false;
  }
  const struct lvn_verify_options options = {.config = config,
                                             .running_jobs = json_object_get(answer, "running_jobs"),
                                             .busy_destinations = json_object_get(answer, "busy_destinations")};
  bool good = lvn_verify_store(&options, collect, faults, counts, err);
  (void)unlink(copy);
  return good;
}

static bool has_fault(const json_t *faults, const json_t *fault) {
  for (size_t i = 0; i < json_array_size(faults); i++) {
    if (json_equal(json_array_get(faults, i), fault)) {
      return true;
    }
  }
  return false;
}

/* A node that works changes its files while they are looked at: what is no fault a moment later is none. */
static bool look_at_running(const char *config_path, const struct lvn_config *config, json_t *faults,
                            struct lvn_verify_counts *counts, struct lvn_error *err) {
  LVN_AUTOJSON json_t *first = json_array();
  LVN_AUTOJSON json_t *second = json_array();
  if (!look_at_copy(config_path, config, first, counts, err)) {
    return false;
  }
  if (json_array_size(first) == 0) {
    return true;
  }
  lvn_clock_sleep_seconds(SECOND_LOOK_SECONDS);
  if (!look_at_copy(config_path, config, second, counts, err)) {
    return false;
  }
  for (size_t i = 0; i < json_array_size(second); i++) {
    if (has_fault(first, json_array_get(second, i))) {
      (void)json_array_append(faults, json_array_get(second, i));
    }
  }
  return true;
}

/* Two looks at a time would take each other's copy away. */
static bool take_turn(const struct lvn_config *config, int *ret_fd, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, config->state_folder, "verify.lock", err)) {
    return false;
  }
  *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (*ret_fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  return flock(*ret_fd, LOCK_EX | LOCK_NB) == 0 ||
         lvn_error_set(err, LVN_ERROR_CONFLICT, "another livervlm verify-store is at work");
}

static bool look(const char *config_path, const struct lvn_config *config, json_t *faults,
                 struct lvn_verify_counts *counts, bool *ret_running, struct lvn_error *err) {
  const struct lvn_verify_options options = {.config = config};
  LVN_AUTOCLOSE int turn_fd = -1;
  *ret_running = false;
  if (!lvn_cli_act_as_owner(config->state_folder, "verify-store", err) || !take_turn(config, &turn_fd, err)) {
    return false;
  }
  if (lvn_verify_store(&options, collect, faults, counts, err)) {
    return true;
  }
  *ret_running = err->code == LVN_ERROR_CONFLICT;
  return *ret_running && look_at_running(config_path, config, faults, counts, err);
}

static void print_faults(const json_t *faults, const struct lvn_verify_counts *counts) {
  size_t position;
  json_t *item;
  json_array_foreach((json_t *)(uintptr_t)faults, position, item) {
    (void)printf("%s: %s\n", json_string_value(json_object_get(item, "kind")),
                 json_string_value(json_object_get(item, "text")));
  }
  (void)printf("%zu objects, %zu results, %zu waiting, %zu kept apart as unreadable; %zu fault%s\n", counts->objects,
               counts->results, counts->waiting, counts->unreadable, json_array_size(faults),
               json_array_size(faults) == 1 ? "" : "s");
}

int lvn_cli_verify_store(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool as_json = false;
  bool is_running = false;
  int first = 0;
  struct lvn_error err = {0};
  struct lvn_verify_counts counts = {0};
  LVN_AUTOJSON json_t *faults = json_array();
  const struct lvn_option options[] = {
      {"config", "FILE", LVN_OPTION_TEXT, &config_path, "the node's configuration (" LVN_OPERATE_CONFIG ")", false, 0,
       0},
      {"json", NULL, LVN_OPTION_FLAG, &as_json, "counts and faults as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "verify-store",
      .summary = "Check that the store keeps what it promises, with the node running or stopped.",
      .details =
          "Every object in the index lies in the store with its digest; every state has an end; every study has\n"
          "at most one current report; a rebuilt index would say the same. Reads every stored byte. One line a\n"
          "fault; exit 0: none, 1: faults, or it could not be checked.",
      .examples = "livervlm verify-store\n"
                  "livervlm verify-store --json | jq .faults",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  lvn_log_setup("verify", LVN_LOG_ERROR); /* what a rebuild would warn of is said as a fault */
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  if (config == NULL || !lvn_config_load(config_path, config, &err) ||
      !look(config_path, config, faults, &counts, &is_running, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  if (as_json) {
    LVN_AUTOJSON json_t *answer =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:O}", "running", (int)is_running, "objects", (json_int_t)counts.objects,
                  "results", (json_int_t)counts.results, "waiting", (json_int_t)counts.waiting, "unreadable",
                  (json_int_t)counts.unreadable, "faults", faults);
    lvn_operate_print_json(answer);
  } else {
    print_faults(faults, &counts);
  }
  return json_array_size(faults) == 0 ? LVN_EXIT_OK : LVN_EXIT_FAILED;
}
