/* livervlm status, retry, send, release, rebuild-index: asked of the running pipeline. */
#include "cli/operate.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/owner.h"
#include "cli/progress.h"
#include "daemon/pipeline/rebuild/rebuild.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

int lvn_cli_status(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool as_json = false;
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {LVN_OPTION_CONFIG(&config_path), LVN_OPTION_JSON(&as_json)};
  const struct lvn_usage usage = {.command = "status",
                                  .summary = "Show what the running node holds, does and waits for.",
                                  .examples = "livervlm status\n"
                                              "livervlm status --json | jq .attention",
                                  .options = options,
                                  .option_count = COUNT_OF(options)};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_operate_ask(config_path, json_pack("{s:s}", "command", "status"), &answer, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (as_json ? lvn_operate_print_json : lvn_operate_print_status)(answer);
  return LVN_EXIT_OK;
}

struct retry {
  const char *study;
  uint64_t job;
  uint64_t outbound;
  bool failed_outbound;
  const char *to;
  bool now;
};

static json_t *pack_retry(const struct retry *retry) {
  json_t *request = json_pack("{s:s, s:s*, s:s*}", "command", "retry", "study", retry->study, "to", retry->to);
  if (retry->job != 0) {
    (void)json_object_set_new(request, "job", json_integer((json_int_t)retry->job));
  }
  if (retry->outbound != 0) {
    (void)json_object_set_new(request, "outbound", json_integer((json_int_t)retry->outbound));
  }
  if (retry->failed_outbound) {
    (void)json_object_set_new(request, "failed_outbound", json_true());
  }
  if (retry->now) {
    (void)json_object_set_new(request, "now", json_true());
  }
  return request;
}

int lvn_cli_retry(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  struct retry retry = {0};
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {
      LVN_OPTION_CONFIG(&config_path),
      {"study", "STUDY", LVN_OPTION_TEXT, &retry.study, "analyse this study again", false, 0, 0},
      {"job", "N", LVN_OPTION_UINT64, &retry.job, "queue this failed job again", false, 1, 9e15},
      {"outbound", "N", LVN_OPTION_UINT64, &retry.outbound, "send this object now, or once more", false, 1, 9e15},
      {"failed-outbound", NULL, LVN_OPTION_FLAG, &retry.failed_outbound,
       "send everything that failed, or waits for its next attempt, now", false, 0, 0},
      {"to", "PEER", LVN_OPTION_TEXT, &retry.to, "the same, of what goes to this peer", false, 0, 0},
      {"now", NULL, LVN_OPTION_FLAG, &retry.now,
       "analyse and send now what waits for its next attempt; what failed for good stays so", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "retry",
      .summary = "Retry what failed or waits: a study, a job, an outgoing object, all that goes to a peer.",
      .examples = "livervlm retry --to ARCHIVE          the archive is back: send what waits for it or failed\n"
                  "livervlm retry --study 7d4e69216e15  analyse a study again\n"
                  "livervlm retry --now                 do not wait for the next attempt",
      .options = options,
      .option_count = COUNT_OF(options)};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if ((retry.study != NULL) + (retry.job != 0) + (retry.outbound != 0) + (int)retry.failed_outbound +
          (retry.to != NULL) + (int)retry.now !=
      1) {
    return lvn_options_complain(&usage, "one of --study, --job, --outbound, --failed-outbound, --to, --now is needed");
  }
  if (!lvn_operate_ask(config_path, pack_retry(&retry), &answer, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("queued again: %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(answer, "count")));
  return LVN_EXIT_OK;
}

int lvn_cli_send(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  const char *study = NULL;
  const char *to = NULL;
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {
      LVN_OPTION_CONFIG(&config_path),
      {"study", "STUDY", LVN_OPTION_TEXT, &study, "its UID, or its name in the log", true, 0, 0},
      {"to", "PEER", LVN_OPTION_TEXT, &to, "name of a [peer] with host and port", true, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "send",
      .summary = "Send the results of a study to a peer, also those that it was sent before.",
      .details =
          "The objects are the same, with the same UIDs; nothing is analysed again (livervlm retry --study does).",
      .examples = "livervlm send --study 7d4e69216e15 --to ARCHIVE  the archive lost it\n"
                  "livervlm outbound --study 7d4e69216e15           what became of it",
      .options = options,
      .option_count = COUNT_OF(options)};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_operate_ask(config_path, json_pack("{s:s, s:s, s:s}", "command", "send", "study", study, "to", to), &answer,
                       &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("queued for %s: %" JSON_INTEGER_FORMAT " objects\n", to,
               json_integer_value(json_object_get(answer, "count")));
  return LVN_EXIT_OK;
}

int lvn_cli_release(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {LVN_OPTION_CONFIG(&config_path)};
  const struct lvn_usage usage = {.command = "release",
                                  .arguments = "STUDY",
                                  .summary = "Let a rejected study go on. When its objects name two patients, it goes "
                                             "on with the patient that most of them name; the others are left out.",
                                  .examples = "livervlm studies --state rejected\n"
                                              "livervlm release 7d4e69216e15",
                                  .options = options,
                                  .option_count = COUNT_OF(options),
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_operate_ask(config_path, json_pack("{s:s, s:s}", "command", "release", "study", argv[first]), &answer,
                       &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("released\n");
  return LVN_EXIT_OK;
}

static void show_progress(void *context, size_t done, size_t total) {
  lvn_progress_show(context, done, total, NULL);
}

/* A node that is stopped is rebuilt here; a running one by its pipeline. The index's lock decides, not a guess. */
static bool rebuild(const char *config_path, struct lvn_rebuild_report *ret_report, struct lvn_error *err) {
  LVN_AUTOJSON json_t *answer = NULL;
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  if (config == NULL || !lvn_config_load(config_path, config, err) ||
      !lvn_cli_act_as_owner(config->state_folder, "rebuild-index", err)) {
    return false;
  }
  struct lvn_progress progress = lvn_progress_begin("rebuild-index", "objects");
  const struct lvn_rebuild_watch watch = {.show = show_progress, .context = &progress};
  bool good = lvn_rebuild_offline(config, &watch, ret_report, err);
  lvn_progress_end(&progress);
  if (good) {
    return true;
  }
  if (err->code != LVN_ERROR_CONFLICT ||
      !lvn_operate_ask(config_path, json_pack("{s:s}", "command", "rebuild-index"), &answer, err)) {
    return false;
  }
  ret_report->objects = (size_t)json_integer_value(json_object_get(answer, "objects"));
  ret_report->unreadable = (size_t)json_integer_value(json_object_get(answer, "unreadable"));
  ret_report->jobs = (size_t)json_integer_value(json_object_get(answer, "jobs"));
  ret_report->results = (size_t)json_integer_value(json_object_get(answer, "results"));
  return true;
}

int lvn_cli_rebuild_index(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  int first = 0;
  struct lvn_error err = {0};
  struct lvn_rebuild_report report = {0};
  const struct lvn_option options[] = {LVN_OPTION_CONFIG(&config_path)};
  const struct lvn_usage usage = {
      .command = "rebuild-index",
      .summary = "Rebuild the index from the stored objects, with the node running or stopped.",
      .details =
          "Finished analyses are found beside their results and are not repeated, whichever model is in use; results\n"
          "that a destination is not known to have are sent, with the same UIDs and bytes.",
      .examples = "livervlm rebuild-index",
      .options = options,
      .option_count = COUNT_OF(options)};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!rebuild(config_path, &report, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("%zu objects, %zu jobs with %zu results\n", report.objects, report.jobs, report.results);
  if (report.unreadable > 0) {
    (void)fprintf(stderr, "livervlm rebuild-index: %zu objects could not be read and were left out\n",
                  report.unreadable);
    return LVN_EXIT_FAILED;
  }
  return LVN_EXIT_OK;
}
