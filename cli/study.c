/* livervlm study remove: a study goes, with everything that was made of it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"

/* On a terminal the question is asked; anywhere else --yes has to be typed. */
static bool is_confirmed(const char *config_path, const char *study, struct lvn_error *err) {
  LVN_AUTOJSON json_t *answer = NULL;
  char line[16] = "";
  if (!lvn_operate_ask(config_path, json_pack("{s:s, s:s}", "command", "studies", "study", study), &answer, err)) {
    return false;
  }
  const json_t *row = json_array_get(json_object_get(answer, "studies"), 0);
  if (row == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no study '%.64s'", study);
  }
  if (isatty(STDIN_FILENO) == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "this removes what may be kept nowhere else: add --yes");
  }
  (void)printf("Remove study %s (%s, %" JSON_INTEGER_FORMAT " objects) with its results from this node? [y/N] ",
               json_string_value(json_object_get(row, "name")), json_string_value(json_object_get(row, "state")),
               json_integer_value(json_object_get(row, "objects")));
  (void)fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL || (line[0] != 'y' && line[0] != 'Y')) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "nothing was removed");
  }
  return true;
}

static int remove_study(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool is_sure = false;
  bool force = false;
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {
      {"config", "FILE", LVN_OPTION_TEXT, &config_path, "the node's configuration (" LVN_OPERATE_CONFIG ")", false, 0,
       0},
      {"yes", NULL, LVN_OPTION_FLAG, &is_sure, "do not ask", false, 0, 0},
      {"force", NULL, LVN_OPTION_FLAG, &force, "also while it is analysed or has results that were not sent", false, 0,
       0},
  };
  const struct lvn_usage usage = {
      .command = "study remove",
      .arguments = "STUDY",
      .summary = "Remove a study from the node: its objects, results and entries. STUDY is its UID or its name in the "
                 "log. What was sent to an archive stays there.",
      .examples = "livervlm study remove 7d4e69216e15        asks first\n"
                  "livervlm study remove 7d4e69216e15 --yes",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_min = 1,
      .arguments_max = 1};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if ((!is_sure && !is_confirmed(config_path, argv[first], &err)) ||
      !lvn_operate_ask(config_path,
                       json_pack("{s:s, s:s, s:b}", "command", "remove", "study", argv[first], "force", (int)force),
                       &answer, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("removed study %s: %" JSON_INTEGER_FORMAT " objects\n",
               json_string_value(json_object_get(answer, "study")),
               json_integer_value(json_object_get(answer, "objects")));
  return LVN_EXIT_OK;
}

int lvn_cli_study(int argc, char **argv) {
  static const struct lvn_options_member members[] = {
      {"remove", remove_study, "remove one from the node, with its results"}, {NULL, NULL, NULL}};
  return lvn_options_group(argc, argv, "Studies of the running node.", members);
}
